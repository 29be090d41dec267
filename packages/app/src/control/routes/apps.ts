/** Routes that read, write and delete apps. */
import {App, AppBody, mergePatch, parseInput, type AppRecord} from '@hivemind/contracts';
import {checkMatch, created, ifMatch, listQuery, listReply, manifest, namespaceFilter, namespaceOf, NamespaceQuery, queryFlag, queryInteger, sameName, withETag, withSpec, WriteQuery} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import type {FastifyReply, FastifyRequest} from 'fastify';
import * as z from 'zod';
import {errors} from '../../errors.ts';
import {appResources} from '../app-reads.ts';
import type {Change, WriteRequest} from '../app-writes.ts';
import {planChange} from '../plans.ts';
import type {RouteContext} from './context.ts';

export const AppParams = z.object({name: z.string()});
const tags = ['app'];
const ListApps = listQuery({item: App, filters: ['phase', 'revision', 'image', 'mode']});
const DeleteQuery = WriteQuery.extend({
  /** Answer when nothing of it is left. */
  wait: queryFlag.default(false),
  /** Most seconds of that. */
  timeout: queryInteger(1, 600).default(60),
});

export function mountAppRoutes(routes: RouteContext): void {
  const {app, view, writes} = routes;

  app.get('/apps', {schema: {summary: 'List apps', tags, querystring: ListApps}}, async ({query}) => {
    const revision = view.revision();
    const namespace = namespaceFilter(query);
    const records = namespace === undefined ? view.apps.list() : view.apps.byIndex('namespace', namespace);
    return listReply(await appResources(routes.context, view, records), query, revision);
  });

  app.get('/apps/:name', {schema: {summary: 'One app with its status', tags, params: AppParams, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, await answer(routes, await writes.read(namespaceOf(query), params.name))),
  );

  app.post('/apps', {schema: {summary: 'Create an app', tags, querystring: WriteQuery, body: manifest(AppBody)}}, async (request, reply) => {
    const {body} = request;
    const {name, labels, annotations, spec} = body;
    const change = (before: AppRecord | undefined): Change => {
      if (before !== undefined) throw errors['already-exists'](`App ${name} exists already in namespace ${before.namespace}: replace it with PUT, or change it with PATCH.`);
      return {labels, annotations, spec};
    };
    return write(routes, {namespace: namespaceOf(request.query, body), name, change, cause: 'create'}, request, reply);
  });

  app.put('/apps/:name', {schema: {summary: 'Create or replace an app', tags, params: AppParams, querystring: WriteQuery, body: manifest(AppBody)}}, async (request, reply) => {
    const {name} = request.params;
    const {body} = request;
    sameName(name, body);
    const {labels, annotations, spec} = body;
    return write(routes, {namespace: namespaceOf(request.query, body), name, change: () => ({labels, annotations, spec}), cause: 'update'}, request, reply);
  });

  app.patch('/apps/:name', {schema: {summary: 'Change an app by JSON merge patch', tags, params: AppParams, querystring: WriteQuery, body: z.unknown()}}, async (request, reply) => {
    const {name} = request.params;
    const namespace = namespaceOf(request.query);
    const change = (before: AppRecord | undefined): Change => {
      if (before === undefined) throw writes.notFound(namespace, name);
      const {labels, annotations, spec} = before;
      const body = parseInput(AppBody, mergePatch({name, namespace, labels, annotations, spec}, withSpec(request.body ?? {})), 'The app, as patched');
      sameName(name, body);
      namespaceOf({namespace}, body);
      return {labels: body.labels, annotations: body.annotations, spec: body.spec};
    };
    return write(routes, {namespace, name, change, cause: 'update'}, request, reply);
  });

  app.delete('/apps/:name', {schema: {summary: 'Delete an app and its containers; volumes stay', tags, params: AppParams, querystring: DeleteQuery}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const before = await writes.read(namespace, name);
    checkMatch(ifMatch(request), before.version, `App ${name}`);
    if (request.query.dryRun) return planChange(routes.context, view, before.value, undefined);
    const {wait, timeout} = request.query;
    await markDeleted(routes, before);
    const gone = wait && (await untilGone(routes, before.value, timeout * 1000));
    if (wait && !gone) throw errors['still-deleting'](`App ${name} was not gone after ${timeout} s; its deletion goes on.`, {retryAfterMs: 5000});
    void reply.code(gone ? 200 : 202);
    return {kind: 'Deletion', name, namespace, status: gone ? 'gone' : 'deleting'};
  });
}

/** One app as the API answers it. */
export async function answer({context, view}: RouteContext, stored: Stored<AppRecord>): Promise<App> {
  const [resource] = await appResources(context, view, [stored]);
  if (resource === undefined) throw new TypeError('one record makes one resource');
  return resource;
}

/** Make a write, or with `dryRun` say what it would do. 201 for what is new. */
export async function write(
  routes: RouteContext,
  request: Omit<WriteRequest, 'expected'>,
  {headers, query}: Pick<FastifyRequest, 'headers'> & {readonly query: {readonly dryRun: boolean}},
  reply: FastifyReply,
): Promise<App | Awaited<ReturnType<typeof planChange>>> {
  const {context, view, writes} = routes;
  const expected = ifMatch({headers});
  if (query.dryRun) {
    const {before, after} = await writes.draft({...request, expected});
    return planChange(context, view, before?.value, after);
  }
  const {stored, isNew} = await writes.write({...request, expected});
  const resource = await answer(routes, stored);
  return isNew
    ? created(reply, `/api/v1/apps/${request.name}?namespace=${request.namespace}`, resource)
    : withETag(reply, resource);
}

async function markDeleted({context, writes}: RouteContext, {value: app}: Stored<AppRecord>): Promise<void> {
  if (app.deletedAt !== undefined) return;
  await writes.write({namespace: app.namespace, name: app.name, change: () => ({deletedAt: new Date(context.now()).toISOString()}), cause: 'delete'});
}

/** Whether the app's record went away in time. */
async function untilGone({view}: RouteContext, {namespace, name, meta}: AppRecord, timeoutMs: number): Promise<boolean> {
  const key = `${namespace}/${name}`;
  const isGone = (): boolean => view.apps.get(key)?.value.meta.uid !== meta.uid;
  const {promise, resolve} = Promise.withResolvers<boolean>();
  const stopListening = view.apps.onChange(() => isGone() && resolve(true));
  const timer = setTimeout(() => resolve(isGone()), timeoutMs);
  if (isGone()) resolve(true);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}
