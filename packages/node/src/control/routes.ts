/** /nodes: the machines as people see and mark them. */
import {Node, NodeCapacity, Taint} from '@hivemind/contracts';
import {type HttpServer, ifMatch, listQuery, listReply, withETag} from '@hivemind/service';
import * as z from 'zod';
import {allocated} from '../core/present.ts';
import {nodeErrors} from '../errors.ts';
import {type Machines, mergeLabels, mergeTaints, opened} from './machines.ts';
import type {Tables} from './tables.ts';

export const Params = z.object({name: z.string()});
const LabelPatch = z.record(z.string(), z.string().max(255).nullable());
const Taints = z.array(Taint).max(100);
const Patch = z.strictObject({labels: LabelPatch.optional(), spec: z.strictObject({unschedulable: z.boolean().optional(), taints: Taints.optional()}).optional()});
const Amounts = z.object({cpu: z.number(), memory: z.number()});
const Resources = z.object({
  name: z.string(),
  capacity: NodeCapacity,
  /** Promised to containers. */
  requested: Node.shape.status.shape.allocated,
  /** The same, by its earlier name. */
  allocated: Node.shape.status.shape.allocated,
  /** Taken by whatever runs on the machine, at most a minute ago; null until it was told. */
  used: Amounts.extend({disk: z.number(), at: z.string()}).nullable(),
  free: Amounts,
});

export interface NodeRoutes {
  readonly app: HttpServer;
  readonly machines: Machines;
  readonly tables: Tables;
}

const tags = ['node'];

export function nodeRoutes({app, machines, tables}: NodeRoutes): void {
  app.get('/nodes', {schema: {tags, summary: 'The machines of the cluster', querystring: listQuery({item: Node, filters: ['phase'], namespaced: false})}}, async (request) =>
    listReply(tables.nodes.list().map((node) => machines.present(node)), request.query, tables.nodes.revision));

  app.get('/nodes/:name', {schema: {tags, summary: 'One machine', params: Params}}, async (request, reply) => withETag(reply, machines.present(machines.find(request.params.name))));

  app.patch('/nodes/:name', {schema: {tags, summary: 'Label or taint a machine, or close it to new containers', params: Params, body: Patch}}, async (request, reply) => {
    const {labels, spec} = request.body;
    return withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => ({...node, labels: mergeLabels(node.labels, labels ?? {}), spec: {...node.spec, ...spec}})));
  });

  app.patch('/nodes/:name/labels', {schema: {tags, summary: 'Set labels; null removes one', params: Params, body: LabelPatch}}, async (request, reply) =>
    withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => ({...node, labels: mergeLabels(node.labels, request.body)}))));

  app.put('/nodes/:name/taints', {schema: {tags, summary: 'Taints of a machine, all of them', params: Params, body: Taints}}, async (request, reply) =>
    withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => ({...node, spec: {...node.spec, taints: mergeTaints([], request.body)}}))));

  app.post('/nodes/:name/taints', {schema: {tags, summary: 'Add a taint; one of the same key and effect is replaced', params: Params, body: Taint}}, async (request, reply) =>
    withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => ({...node, spec: {...node.spec, taints: mergeTaints(node.spec.taints, [request.body])}}))));

  app.delete('/nodes/:name/taints', {schema: {tags, summary: 'Remove the taints of a key, or one effect of it', params: Params, querystring: z.strictObject({key: z.string(), effect: Taint.shape.effect.optional()})}}, async (request, reply) => {
    const {key, effect} = request.query;
    const named = (taint: Taint): boolean => taint.key === key && (effect === undefined || taint.effect === effect);
    return withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => {
      if (!node.spec.taints.some(named)) throw nodeErrors['taint-not-found'](`Node ${node.name} has no taint ${key}${effect === undefined ? '' : `:${effect}`}.`);
      return {...node, spec: {...node.spec, taints: node.spec.taints.filter((taint) => !named(taint))}};
    }));
  });

  app.post('/nodes/:name/cordon', {schema: {tags, summary: 'Place no new container on it', params: Params}}, async (request, reply) =>
    withETag(reply, await machines.change(request.params.name, ifMatch(request), (node) => ({...node, spec: {...node.spec, unschedulable: true}}))));

  app.post('/nodes/:name/uncordon', {schema: {tags, summary: 'Place containers on it again; calls off a drain or maintenance', params: Params}}, async (request, reply) => {
    const before = machines.find(request.params.name).value.spec;
    const answer = await machines.change(request.params.name, ifMatch(request), (node) => ({...node, spec: opened(node.spec)}));
    if (before.drain !== undefined) machines.event(request.params.name, 'Uncordoned', 'it takes containers again; its drain is called off');
    return withETag(reply, answer);
  });

  app.get('/nodes/:name/resources', {schema: {tags, summary: 'What it has, what is promised, what is used: millicores and bytes', params: Params, response: {200: Resources}}}, async (request) => {
    const {name, status} = machines.present(machines.find(request.params.name));
    const requested = allocated(tables.allocations.get(name)?.value);
    const free = {cpu: Math.max(0, status.capacity.cpu - requested.cpu), memory: Math.max(0, status.capacity.memory - requested.memory)};
    return {name, capacity: status.capacity, requested, allocated: requested, used: tables.status.get(name)?.value.report.usage ?? null, free};
  });
}
