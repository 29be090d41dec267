/** Routes that ask something of one app: scale, restart, stop, start, roll back, plan; its revisions. */
import {AppBody, AppSpec, invalidInput, revisionKey, resourceKey, type AppRecord, type AppRevision} from '@hivemind/contracts';
import {ifMatch, manifest, namespaceOf, NamespaceQuery, revisionText, sameName, WriteQuery} from '@hivemind/service';
import * as z from 'zod';
import {errors} from '../../errors.ts';
import type {Change} from '../app-writes.ts';
import {appRevisions} from '../collections.ts';
import {planChange} from '../plans.ts';
import {AppParams, write} from './apps.ts';
import type {RouteContext} from './context.ts';

const tags = ['app'];
const ScaleBody = z.strictObject({replicas: AppSpec.shape.replicas.unwrap()});

/** @throws `invalid-input` of an app that has one container on each machine */
function scaled(name: string, spec: AppSpec, replicas: number): Change {
  if (spec.mode === 'global') throw invalidInput('The scale', [{path: 'replicas', message: `${replicas}: app ${name} is global, one container on each machine: placement says on which`}]);
  return {spec: {...spec, replicas}};
}
const RollbackBody = z.strictObject({revision: z.number().int().positive().optional()}).default({});

export function mountAppActionRoutes(routes: RouteContext): void {
  const {app, writes} = routes;

  /** A change of an app that exists. */
  const existing = (namespace: string, name: string, change: (before: AppRecord) => Change) => (before: AppRecord | undefined): Change => {
    if (before === undefined) throw writes.notFound(namespace, name);
    return change(before);
  };

  app.post('/apps/:name/scale', {schema: {summary: 'Set the number of replicas', tags, params: AppParams, querystring: WriteQuery, body: ScaleBody}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const {replicas} = request.body;
    return write(routes, {namespace, name, change: existing(namespace, name, ({spec}) => scaled(name, spec, replicas)), cause: 'scale'}, request, reply);
  });

  const simple = (action: string, summary: string, change: (before: AppRecord) => Change): void => {
    app.post(`/apps/:name/${action}`, {schema: {summary, tags, params: AppParams, querystring: WriteQuery}}, async (request, reply) => {
      const namespace = namespaceOf(request.query);
      const {name} = request.params;
      return write(routes, {namespace, name, change: existing(namespace, name, change), cause: action}, request, reply);
    });
  };
  simple('restart', 'Replace its containers, as its update strategy says', ({restarts}) => ({restarts: restarts + 1}));
  simple('stop', 'Stop its containers; the app stays', () => ({stopped: true}));
  simple('start', 'Start it again after a stop', () => ({stopped: false}));

  app.post('/apps/:name/rollback', {schema: {summary: 'Make the spec that of an earlier revision (by default the one before); replicas stay as they are', tags, params: AppParams, querystring: WriteQuery, body: RollbackBody}}, async (request, reply) => {
    const namespace = namespaceOf(request.query);
    const {name} = request.params;
    const {value: current} = await writes.read(namespace, name);
    const target = await earlierRevision(routes, current, request.body.revision);
    const change = existing(namespace, name, ({spec, restarts}) => ({spec: {...target.spec, replicas: spec.replicas}, restarts}));
    return write(routes, {namespace, name, change, cause: `rollback to ${target.number}`}, request, reply);
  });

  app.get('/apps/:name/revisions', {schema: {summary: 'The last ten revisions, newest first', tags, params: AppParams, querystring: NamespaceQuery}}, async ({params, query}) => {
    const namespace = namespaceOf(query);
    const {value: current} = await writes.read(namespace, params.name);
    const items = revisionsOf(routes, current).map(({number, createdAt, cause, spec}) => ({revision: number, current: number === current.revision, createdAt, cause, image: spec.image, spec}));
    return {items, next: null, revision: revisionText(routes.view.revision())};
  });

  app.post('/apps/:name/plan', {schema: {summary: 'What replacing the app by this body would do', tags, params: AppParams, querystring: NamespaceQuery, body: manifest(AppBody)}}, async (request) => {
    const {name} = request.params;
    const {body} = request;
    sameName(name, body);
    const {labels, annotations, spec} = body;
    const {before, after} = await writes.draft({namespace: namespaceOf(request.query, body), name, change: () => ({labels, annotations, spec}), cause: 'update', expected: ifMatch(request)});
    return planChange(routes.context, routes.view, before?.value, after);
  });
}

function revisionsOf({view}: RouteContext, app: AppRecord): readonly AppRevision[] {
  return view.revisions
    .byIndex('app', resourceKey(app.namespace, app.name))
    .map(({value}) => value)
    .filter(({appUid}) => appUid === app.meta.uid)
    .toSorted((a, b) => b.number - a.number);
}

/** @throws `revision-not-found` 404 naming those that are kept */
async function earlierRevision(routes: RouteContext, app: AppRecord, asked: number | undefined): Promise<AppRevision> {
  const kept = revisionsOf(routes, app);
  const number = asked ?? kept.find((revision) => revision.number < app.revision)?.number;
  const stored = number === undefined ? undefined : await appRevisions.in(routes.context.store).get(revisionKey(app.namespace, app.name, number));
  if (stored?.value.appUid === app.meta.uid) return stored.value;
  const numbers = kept.map((revision) => revision.number).join(', ');
  throw errors['revision-not-found'](asked === undefined ? `App ${app.name} has no earlier revision to go back to.` : `App ${app.name} has no revision ${asked}; there are ${numbers}.`);
}
