/** Namespaces. `default` always exists; others are made by hand, or when first used. */
import {Namespace, NamespaceBody, mergePatch, parseInput, type NamespaceRecord} from '@hivemind/contracts';
import {checkMatch, created, DEFAULT_NAMESPACE, ifMatch, listQuery, listReply, type ManagerContext, manifest, sameName, withETag, withSpec} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import * as z from 'zod';
import {namespaceResource} from '../../core/resource.ts';
import {errors} from '../../errors.ts';
import {namespaces} from '../collections.ts';
import {newNamespace} from '../namespace-record.ts';
import type {RouteContext} from './context.ts';

const tags = ['namespace'];
const Params = z.object({name: z.string()});
/** What a namespace may not be deleted with. */
const contents = ['apps', 'configs', 'secrets', 'volumes'] as const;

export function mountNamespaceRoutes({app, context, view}: RouteContext): void {
  const {store} = context;
  const resource = (stored: Stored<NamespaceRecord>) => namespaceResource(stored, view.apps.byIndex('namespace', stored.key).length);
  const read = async (name: string): Promise<Stored<NamespaceRecord>> => {
    const stored = await namespaces.in(store).get(name);
    if (!stored) throw errors['namespace-not-found'](`There is no namespace ${name}.`);
    return stored;
  };
  /** Writes what `next` makes of the record, which is as it was read. */
  const put = async (name: string, before: Stored<NamespaceRecord> | undefined, {labels, annotations}: Pick<NamespaceRecord, 'labels' | 'annotations'>) => {
    const base = before ? {...before.value, meta: {...before.value.meta, updatedAt: new Date(context.now()).toISOString()}} : newNamespace(name, context);
    const stored = await namespaces.in(store).put(name, {...base, labels, annotations}, {expect: before ?? 0});
    await view.catchUp(stored.version);
    return stored;
  };

  app.get('/namespaces', {schema: {summary: 'List namespaces', tags, querystring: listQuery({item: Namespace, namespaced: false})}}, async ({query}) =>
    listReply(view.namespaces.list().map(resource), query, view.revision()),
  );

  app.get('/namespaces/:name', {schema: {summary: 'One namespace', tags, params: Params}}, async ({params}, reply) => withETag(reply, resource(await read(params.name))));

  app.post('/namespaces', {schema: {summary: 'Create a namespace', tags, body: manifest(NamespaceBody)}}, async (request, reply) => {
    const {body} = request;
    if (await namespaces.in(store).get(body.name)) throw errors['already-exists'](`Namespace ${body.name} exists already.`);
    return created(reply, `/api/v1/namespaces/${body.name}`, resource(await put(body.name, undefined, body)));
  });

  app.put('/namespaces/:name', {schema: {summary: 'Create or replace a namespace', tags, params: Params, body: manifest(NamespaceBody)}}, async (request, reply) => {
    const {name} = request.params;
    const {body} = request;
    sameName(name, body);
    const before = await namespaces.in(store).get(name);
    checkMatch(ifMatch(request), before?.version ?? 0, `Namespace ${name}`);
    const stored = await put(name, before, body);
    return before ? withETag(reply, resource(stored)) : created(reply, `/api/v1/namespaces/${name}`, resource(stored));
  });

  app.patch('/namespaces/:name', {schema: {summary: 'Change a namespace by JSON merge patch', tags, params: Params, body: z.unknown()}}, async (request, reply) => {
    const before = await read(request.params.name);
    checkMatch(ifMatch(request), before.version, `Namespace ${before.key}`);
    const {name, labels, annotations, spec} = before.value;
    const body = parseInput(NamespaceBody, mergePatch({name, labels, annotations, spec}, withSpec(request.body ?? {})), 'The namespace, as patched');
    sameName(name, body);
    return withETag(reply, resource(await put(name, before, body)));
  });

  app.delete('/namespaces/:name', {schema: {summary: 'Delete an empty namespace', tags, params: Params}}, async (request) => {
    const {name} = request.params;
    if (name === DEFAULT_NAMESPACE) throw errors['namespace-fixed']('The namespace default cannot be deleted.');
    const before = await read(name);
    checkMatch(ifMatch(request), before.version, `Namespace ${name}`);
    await refuseNonEmpty(context, name);
    await namespaces.in(store).delete(name, {expect: before.version});
    return {kind: 'Deletion', name, status: 'gone'};
  });
}

async function refuseNonEmpty({store}: ManagerContext, name: string): Promise<void> {
  const pages = await Promise.all(contents.map((collection) => store.list(collection, {prefix: `${name}/`, limit: 1})));
  const held = contents.filter((_, index) => (pages[index]?.records.length ?? 0) > 0);
  if (held.length > 0) throw errors['namespace-not-empty'](`Namespace ${name} still has ${held.join(', ')}: delete those first.`);
}

/** Makes the namespace that always exists. Whoever else makes it at the same time makes the same. */
export async function ensureDefaultNamespace(context: ManagerContext): Promise<void> {
  if (await namespaces.in(context.store).get(DEFAULT_NAMESPACE)) return;
  await context.store.transact({compare: [namespaces.absent(DEFAULT_NAMESPACE)], writes: [namespaces.putting(DEFAULT_NAMESPACE, newNamespace(DEFAULT_NAMESPACE, context))]});
}
