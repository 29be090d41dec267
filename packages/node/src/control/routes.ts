/** /nodes: the machines as people see and mark them. */
import {commonErrors, Labels, Node, NodeCapacity, type NodeRecord} from '@hivemind/contracts';
import {checkMatch, type HttpServer, ifMatch, listQuery, listReply, type ManagerContext, withETag} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import {z} from 'zod';
import {allocated, presentNode} from '../core/present.ts';
import {nodeErrors} from '../errors.ts';
import {nodes as nodeCollection, type Tables} from './tables.ts';

const Params = z.object({name: z.string()});
const LabelPatch = z.record(z.string(), z.string().max(255).nullable());
const Patch = z.strictObject({labels: LabelPatch.optional(), spec: z.strictObject({unschedulable: z.boolean().optional()}).optional()});
const Amounts = z.object({cpu: z.number(), memory: z.number()});
const Resources = z.object({name: z.string(), capacity: NodeCapacity, allocated: Node.shape.status.shape.allocated, free: Amounts});

export interface NodeRouteOptions {
  readonly context: Pick<ManagerContext, 'store' | 'now'>;
  readonly tables: Tables;
}

export function nodeRoutes(app: HttpServer, {context, tables}: NodeRouteOptions): void {
  const time = (): string => new Date(context.now()).toISOString();
  const present = ({key, value, version}: Stored<NodeRecord>): Node =>
    presentNode({node: value, version, status: tables.status.get(key)?.value, lease: tables.leases.get(key)?.value, allocation: tables.allocations.get(key)?.value}, time());

  const find = (name: string): Stored<NodeRecord> => {
    const node = tables.nodes.get(name);
    if (!node) throw nodeErrors['node-not-found'](`There is no node ${name}: GET /nodes lists what there is.`);
    return node;
  };

  /** What `change` makes of it; written only where that differs. */
  const change = async (name: string, expected: number | undefined, edit: (node: NodeRecord) => NodeRecord): Promise<Node> => {
    find(name);
    const collection = nodeCollection.in(context.store);
    const before = await collection.get(name);
    if (!before) throw nodeErrors['node-not-found'](`There is no node ${name}.`);
    checkMatch(expected, before.version, `The node ${name}`);
    const after = edit(before.value);
    if (JSON.stringify(after) === JSON.stringify(before.value)) return present(before);
    const written = await collection.put(name, {...after, meta: {...after.meta, updatedAt: time()}}, {expect: before});
    return present(written);
  };

  app.get('/nodes', {schema: {tags: ['node'], summary: 'The machines of the cluster', querystring: listQuery({item: Node, filters: ['phase'], namespaced: false})}}, async (request) =>
    listReply(tables.nodes.list().map(present), request.query, tables.nodes.revision));

  app.get('/nodes/:name', {schema: {tags: ['node'], summary: 'One machine', params: Params}}, async (request, reply) => withETag(reply, present(find(request.params.name))));

  app.patch('/nodes/:name', {schema: {tags: ['node'], summary: 'Label a machine, or close it to new containers', params: Params, body: Patch}}, async (request, reply) => {
    const {labels, spec} = request.body;
    return withETag(reply, await change(request.params.name, ifMatch(request), (node) => withSpec({...node, labels: mergeLabels(node.labels, labels ?? {})}, spec ?? {})));
  });

  app.patch('/nodes/:name/labels', {schema: {tags: ['node'], summary: 'Set labels; null removes one', params: Params, body: LabelPatch}}, async (request, reply) =>
    withETag(reply, await change(request.params.name, ifMatch(request), (node) => ({...node, labels: mergeLabels(node.labels, request.body)}))));

  for (const [action, unschedulable, summary] of [['cordon', true, 'Place no new container on it'], ['uncordon', false, 'Place containers on it again']] as const) {
    app.post(`/nodes/:name/${action}`, {schema: {tags: ['node'], summary, params: Params}}, async (request, reply) =>
      withETag(reply, await change(request.params.name, ifMatch(request), (node) => withSpec(node, {unschedulable}))));
  }

  app.get('/nodes/:name/resources', {schema: {tags: ['node'], summary: 'What it has, what is promised, what is left: millicores and bytes', params: Params, response: {200: Resources}}}, async (request) => {
    const {name, status} = present(find(request.params.name));
    const taken = allocated(tables.allocations.get(name)?.value);
    const free = {cpu: Math.max(0, status.capacity.cpu - taken.cpu), memory: Math.max(0, status.capacity.memory - taken.memory)};
    return {name, capacity: status.capacity, allocated: taken, free};
  });
}

function withSpec(node: NodeRecord, spec: Partial<NodeRecord['spec']>): NodeRecord {
  const next = {...node.spec, ...spec};
  if (next.unschedulable === node.spec.unschedulable) return node;
  return {...node, spec: next, meta: {...node.meta, generation: node.meta.generation + 1}};
}

/** @throws `invalid-input` for a label key that is not one, or is the machine's own */
function mergeLabels(labels: Labels, patch: z.infer<typeof LabelPatch>): Labels {
  const own = Object.keys(patch).find((key) => key.startsWith('hivemind.io/'));
  if (own !== undefined) throw commonErrors['invalid-input'](`The label ${own} is a fact of the machine and cannot be set.`, {errors: [{path: `labels.${own}`, message: 'is a fact of the machine: choose a key without the prefix hivemind.io/'}]});
  const merged = {...labels, ...patch};
  const kept = Object.fromEntries(Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null));
  const parsed = Labels.safeParse(kept);
  if (!parsed.success) throw commonErrors['invalid-input']('A label is not valid.', {errors: parsed.error.issues.map(({path, message}) => ({path: ['labels', ...path].join('.'), message}))});
  return parsed.data;
}
