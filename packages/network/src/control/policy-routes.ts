/** /network-policies: who may reach whom. */
import {mergePatch, NetworkPolicy, NetworkPolicyBody, parseInput, PolicyTest, PolicyVerdict} from '@hivemind/contracts';
import {checkMatch, created, type HttpServer, ifMatch, listQuery, listReply, manifest, namespaceOf, NamespaceQuery, sameName, withETag, withSpec} from '@hivemind/service';
import * as z from 'zod';
import {networkErrors} from '../errors.ts';
import type {Policies} from './policies.ts';
import type {Tables} from './tables.ts';

const tags = ['network'];
const Params = z.object({name: z.string()});
const Deletion = z.object({kind: z.literal('Deletion'), name: z.string(), namespace: z.string(), status: z.literal('gone')});
const location = (namespace: string, name: string): string => `/api/v1/network-policies/${name}?namespace=${namespace}`;

export function policyRoutes(app: HttpServer, policies: Policies, tables: Tables): void {
  app.get('/network-policies', {schema: {tags, summary: 'Network policies, and the apps that each is about', querystring: listQuery({item: NetworkPolicy, filters: []})}}, async ({query}) =>
    listReply(policies.list(), query, tables.policies.revision));

  app.post('/network-policies/test', {schema: {tags, summary: 'Whether one may reach another, and which rule decides', querystring: NamespaceQuery, body: PolicyTest, response: {200: PolicyVerdict}}}, async ({query, body}) =>
    policies.test(namespaceOf(query), body));

  app.get('/network-policies/:name', {schema: {tags, summary: 'One network policy', params: Params, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, policies.present(await policies.read(namespaceOf(query), params.name))));

  app.post('/network-policies', {schema: {tags, summary: 'Create a network policy', querystring: NamespaceQuery, body: manifest(NetworkPolicyBody)}}, async (request, reply) => {
    const {body} = request;
    const namespace = namespaceOf(request.query, body);
    if (await policies.find(namespace, body.name)) throw networkErrors['policy-exists'](`Network policy ${body.name} exists already in namespace ${namespace}.`);
    return created(reply, location(namespace, body.name), policies.present(await policies.write(namespace, body, undefined)));
  });

  app.put('/network-policies/:name', {schema: {tags, summary: 'Create or replace a network policy', params: Params, querystring: NamespaceQuery, body: manifest(NetworkPolicyBody)}}, async (request, reply) => {
    const {body} = request;
    sameName(request.params.name, body);
    const namespace = namespaceOf(request.query, body);
    const before = await policies.find(namespace, body.name);
    checkMatch(ifMatch(request), before?.version ?? 0, `Network policy ${body.name}`);
    const stored = await policies.write(namespace, body, before);
    return before ? withETag(reply, policies.present(stored)) : created(reply, location(namespace, body.name), policies.present(stored));
  });

  app.patch('/network-policies/:name', {schema: {tags, summary: 'Change a network policy by JSON merge patch', params: Params, querystring: NamespaceQuery, body: z.unknown()}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const before = await policies.read(namespace, request.params.name);
    checkMatch(ifMatch(request), before.version, `Network policy ${request.params.name}`);
    const {name, labels, annotations, spec} = before.value;
    const body = parseInput(NetworkPolicyBody, mergePatch({name, namespace, labels, annotations, spec}, withSpec(request.body ?? {})), 'The network policy, as patched');
    sameName(name, body);
    namespaceOf({namespace}, body);
    return withETag(reply, policies.present(await policies.write(namespace, body, before)));
  });

  app.delete('/network-policies/:name', {schema: {tags, summary: 'Delete a network policy: what it denied is allowed', params: Params, querystring: NamespaceQuery, response: {200: Deletion}}}, async (request) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    await policies.remove(await policies.read(namespace, name), ifMatch(request));
    return {kind: 'Deletion' as const, name, namespace, status: 'gone' as const};
  });
}
