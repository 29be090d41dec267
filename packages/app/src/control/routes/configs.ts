/**
 * Configs: files and values that apps of the namespace use by name. A changed config is seen by the containers that are
 * started or replaced after the change; `POST /apps/{name}/restart` makes an app see it now.
 */
import {Config, ConfigBody, mergePatch, parseInput, resourceKey, type ConfigRecord, type FieldError} from '@hivemind/contracts';
import {checkMatch, created, ifMatch, listQuery, listReply, manifest, namespaceOf, NamespaceQuery, sameName, withETag, withSpec} from '@hivemind/service';
import {commit, type Stored} from '@hivemind/store';
import * as z from 'zod';
import {canonical} from '../../core/canonical.ts';
import {configResource} from '../../core/resource.ts';
import {errors} from '../../errors.ts';
import {configsOf} from '../assignments.ts';
import {configs, namespaces} from '../collections.ts';
import {newNamespace} from '../namespace-record.ts';
import type {RouteContext} from './context.ts';

const tags = ['config'];
const Params = z.object({name: z.string()});

export function mountConfigRoutes(routes: RouteContext): void {
  const {app, context, view} = routes;
  const {store} = context;
  const read = async (namespace: string, name: string): Promise<Stored<ConfigRecord>> => {
    const stored = await configs.in(store).get(resourceKey(namespace, name));
    if (!stored) throw errors['config-not-found'](`There is no config ${name} in namespace ${namespace}.`);
    return stored;
  };

  app.get('/configs', {schema: {summary: 'List configs', tags, querystring: listQuery({item: Config})}}, async ({query}) =>
    listReply(view.configs.list().map(configResource), query, view.revision()),
  );

  app.get('/configs/:name', {schema: {summary: 'One config', tags, params: Params, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, configResource(await read(namespaceOf(query), params.name))),
  );

  app.post('/configs', {schema: {summary: 'Create a config', tags, querystring: NamespaceQuery, body: manifest(ConfigBody)}}, async (request, reply) => {
    const {body} = request;
    const namespace = namespaceOf(request.query, body);
    if (await configs.in(store).get(resourceKey(namespace, body.name))) throw errors['already-exists'](`Config ${body.name} exists already in namespace ${namespace}: replace it with PUT.`);
    return created(reply, `/api/v1/configs/${body.name}?namespace=${namespace}`, configResource(await put(routes, namespace, body, undefined)));
  });

  app.put('/configs/:name', {schema: {summary: 'Create or replace a config', tags, params: Params, querystring: NamespaceQuery, body: manifest(ConfigBody)}}, async (request, reply) => {
    const {name} = request.params;
    const {body} = request;
    sameName(name, body);
    const namespace = namespaceOf(request.query, body);
    const before = await configs.in(store).get(resourceKey(namespace, name));
    checkMatch(ifMatch(request), before?.version ?? 0, `Config ${name}`);
    const stored = await put(routes, namespace, body, before);
    return before ? withETag(reply, configResource(stored)) : created(reply, `/api/v1/configs/${name}?namespace=${namespace}`, configResource(stored));
  });

  app.patch('/configs/:name', {schema: {summary: 'Change a config by JSON merge patch', tags, params: Params, querystring: NamespaceQuery, body: z.unknown()}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const before = await read(namespace, request.params.name);
    checkMatch(ifMatch(request), before.version, `Config ${request.params.name}`);
    const {name, labels, annotations, spec} = before.value;
    const body = parseInput(ConfigBody, mergePatch({name, namespace, labels, annotations, spec}, withSpec(request.body ?? {})), 'The config, as patched');
    sameName(name, body);
    namespaceOf({namespace}, body);
    return withETag(reply, configResource(await put(routes, namespace, body, before)));
  });

  app.delete('/configs/:name', {schema: {summary: 'Delete a config that no app uses', tags, params: Params, querystring: NamespaceQuery}}, async (request) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const before = await read(namespace, name);
    checkMatch(ifMatch(request), before.version, `Config ${name}`);
    const users = view.apps.byIndex('namespace', namespace).filter(({value}) => value.deletedAt === undefined && configsOf({namespace, template: value.spec}).includes(before.key));
    if (users.length > 0) throw errors['config-in-use'](`Config ${name} is used by ${users.map(({value}) => value.name).join(', ')}.`);
    await configs.in(store).delete(before.key, {expect: before.version});
    return {kind: 'Deletion', name, namespace, status: 'gone'};
  });
}

async function put({context, view}: RouteContext, namespace: string, {name, labels, annotations, spec}: z.output<typeof ConfigBody>, before: Stored<ConfigRecord> | undefined): Promise<Stored<ConfigRecord>> {
  const wrong = spec.encoding === 'base64' ? base64Errors(spec.data) : [];
  if (wrong[0]) throw errors['invalid-input'](`Config ${name} is not valid: ${wrong[0].path} ${wrong[0].message}`, {errors: wrong});
  const now = new Date(context.now()).toISOString();
  const same = before !== undefined && canonical(before.value.spec) === canonical(spec);
  const meta = before ? {...before.value.meta, generation: before.value.meta.generation + (same ? 0 : 1), updatedAt: now} : {uid: context.uid(), generation: 1, createdAt: now, updatedAt: now};
  const known = await namespaces.in(context.store).get(namespace);
  const key = resourceKey(namespace, name);
  const record = configs.putting(key, {name, namespace, labels, annotations, spec, meta}, {previous: before});
  const {n} = await commit(context.store, {
    compare: [before ? configs.unchanged(before) : configs.absent(key), known ? namespaces.unchanged(known) : namespaces.absent(namespace)],
    writes: [record, ...(known ? [] : [namespaces.putting(namespace, newNamespace(namespace, context))])],
  });
  await view.catchUp(n);
  return configs.decode({collection: configs.name, key, version: n, created: before?.created ?? n, value: record.op === 'put' ? record.value : ''});
}

function base64Errors(data: Readonly<Record<string, string>>): readonly FieldError[] {
  return Object.entries(data)
    .filter(([, value]) => !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value.replace(/\s/g, '')))
    .map(([key]) => ({path: `spec.data.${key}`, message: 'is not base64, as encoding says'}));
}
