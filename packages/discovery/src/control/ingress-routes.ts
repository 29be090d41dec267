/** /ingresses: which requests from outside go to which app. */
import {Ingress, IngressBody, IngressMachines, mergePatch, parseInput} from '@hivemind/contracts';
import {checkMatch, created, type HttpServer, ifMatch, listQuery, listReply, manifest, namespaceOf, NamespaceQuery, sameName, withETag, withSpec, WriteQuery} from '@hivemind/service';
import * as z from 'zod';
import {discoveryErrors} from '../errors.ts';
import type {Ingresses} from './ingresses.ts';
import type {Tables} from './tables.ts';

const tags = ['discovery'];
const Params = z.object({name: z.string()});
const location = (namespace: string, name: string): string => `/api/v1/ingresses/${name}?namespace=${namespace}`;

export function ingressRoutes(app: HttpServer, ingresses: Ingresses, tables: () => Tables): void {
  app.get('/ingresses', {schema: {tags, summary: 'Ingresses: which requests from outside go to which app', querystring: listQuery({item: Ingress, filters: ['phase']})}}, async ({query}) =>
    listReply(ingresses.list(), query, tables().ingresses.revision));

  app.get('/ingresses/:name', {schema: {tags, summary: 'One ingress, and what keeps its rules from being served', params: Params, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, ingresses.present(await ingresses.read(namespaceOf(query), params.name))));

  app.get('/ingresses/:name/nodes', {schema: {tags, summary: 'How each machine that takes it fares', params: Params, querystring: NamespaceQuery, response: {200: IngressMachines}}}, async ({params, query}) =>
    ingresses.machines(await ingresses.read(namespaceOf(query), params.name)));

  app.post('/ingresses', {schema: {tags, summary: 'Create an ingress', querystring: WriteQuery, body: manifest(IngressBody)}}, async (request, reply) => {
    const {body, query} = request;
    const namespace = namespaceOf(query, body);
    if (await ingresses.find(namespace, body.name)) throw discoveryErrors['ingress-exists'](`Ingress ${body.name} exists already in namespace ${namespace}.`);
    if (query.dryRun) return ingresses.plan(namespace, body, undefined);
    return created(reply, location(namespace, body.name), ingresses.present(await ingresses.write(namespace, body, undefined)));
  });

  app.put('/ingresses/:name', {schema: {tags, summary: 'Create or replace an ingress', params: Params, querystring: WriteQuery, body: manifest(IngressBody)}}, async (request, reply) => {
    const {body, query} = request;
    sameName(request.params.name, body);
    const namespace = namespaceOf(query, body);
    const before = await ingresses.find(namespace, body.name);
    checkMatch(ifMatch(request), before?.version ?? 0, `Ingress ${body.name}`);
    if (query.dryRun) return ingresses.plan(namespace, body, before);
    const stored = await ingresses.write(namespace, body, before);
    return before ? withETag(reply, ingresses.present(stored)) : created(reply, location(namespace, body.name), ingresses.present(stored));
  });

  app.patch('/ingresses/:name', {schema: {tags, summary: 'Change an ingress by JSON merge patch', params: Params, querystring: WriteQuery, body: z.unknown()}}, async (request, reply) => {
    const {query} = request;
    const namespace = namespaceOf(query);
    const before = await ingresses.read(namespace, request.params.name);
    checkMatch(ifMatch(request), before.version, `Ingress ${request.params.name}`);
    const {name, labels, annotations, spec} = before.value;
    const body = parseInput(IngressBody, mergePatch({name, namespace, labels, annotations, spec}, withSpec(request.body ?? {})), 'The ingress, as patched');
    sameName(name, body);
    namespaceOf({namespace}, body);
    if (query.dryRun) return ingresses.plan(namespace, body, before);
    return withETag(reply, ingresses.present(await ingresses.write(namespace, body, before)));
  });

  app.delete('/ingresses/:name', {schema: {tags, summary: 'Delete an ingress: its requests are taken no more', params: Params, querystring: WriteQuery}}, async (request) => {
    const {query} = request;
    const namespace = namespaceOf(query);
    const {name} = request.params;
    const stored = await ingresses.read(namespace, name);
    checkMatch(ifMatch(request), stored.version, `Ingress ${name}`);
    if (query.dryRun) return ingresses.planRemoval(stored);
    await ingresses.remove(stored, ifMatch(request));
    return {kind: 'Deletion' as const, name, namespace, status: 'gone' as const};
  });
}
