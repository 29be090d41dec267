/** /deployments: rollouts as people see and steer them. */
import {resourceKey, type Rollout} from '@hivemind/contracts';
import {listQuery, listReply, NamespaceQuery, namespaceOf, withETag, type HttpServer, type ManagerContext} from '@hivemind/service';
import type {Fence, Stored} from '@hivemind/store';
import * as z from 'zod';
import {command, desiredReplicas, goalOf} from '../core/plan.ts';
import {errors} from '../errors.ts';
import {Deployment} from '../model.ts';
import {machinesFor, observed} from './reconciler.ts';
import {rollouts as rolloutCollection, type Tables} from './tables.ts';

type Action = Parameters<typeof command>[1];
const actions: readonly Action[] = ['pause', 'resume', 'rollback', 'abort'];
const Params = z.object({id: z.string()});

export interface RouteOptions {
  readonly context: Pick<ManagerContext, 'store' | 'now'>;
  readonly tables: Tables;
  readonly fence: () => Fence | undefined;
}

export function deploymentRoutes(app: HttpServer, {context, tables}: RouteOptions): void {
  const present = (stored: Stored<Rollout>): z.infer<typeof Deployment> => presentRollout(stored, tables);

  app.get('/deployments', {schema: {tags: ['deployment'], summary: 'Rollouts, newest first', querystring: listQuery({item: Deployment, filters: ['app', 'phase']})}}, async (request) => {
    const {revision} = tables.rollouts;
    return listReply(tables.rollouts.list().map(present), request.query, revision);
  });

  app.get('/deployments/:id', {schema: {tags: ['deployment'], summary: 'One rollout: an id, or the name of an app for its current one', params: Params, querystring: NamespaceQuery}}, async (request, reply) => {
    return withETag(reply, present(find(tables, request.params.id, namespaceOf(request.query))));
  });

  for (const action of actions) {
    app.post(`/deployments/:id/${action}`, {schema: {tags: ['deployment'], summary: summaries[action], params: Params, querystring: NamespaceQuery}}, async (request, reply) => {
      const stored = find(tables, request.params.id, namespaceOf(request.query));
      const key = resourceKey(stored.value.namespace, stored.value.app);
      const current = newest(tables, key);
      if (current?.key !== stored.key) throw errors['deployment-superseded'](`Revision ${stored.value.revision} of ${key} was superseded by revision ${current?.value.revision ?? '?'}; use that one.`);
      const written = await rolloutCollection.in(context.store).update(stored.key, (value) => (value ? decide(value, action, tables, key, context.now()) : undefined));
      if (!written) throw errors['deployment-not-found'](`The deployment ${request.params.id} is gone.`);
      return withETag(reply, present(written));
    });
  }
}

const summaries: Readonly<Record<Action, string>> = {
  pause: 'Hold a rollout where it is',
  resume: 'Go on with a paused or failed rollout',
  rollback: 'Go back to the revision before',
  abort: 'Give up a rollout under way and go back',
};

function decide(rollout: Rollout, action: Action, tables: Tables, key: string, now: number): Rollout {
  const app = tables.apps.get(key);
  if (!app) throw errors['deployment-not-found'](`The app ${key} is gone.`);
  const revisions = new Set(tables.revisions.byIndex('app', key).map((revision) => revision.value.number));
  const next = command(rollout, action, app.value, revisions, now);
  if (next === 'finished') throw errors['deployment-finished'](`The rollout of revision ${rollout.revision} of ${key} is ${rollout.phase}: there is nothing to ${action}.`);
  if (next === 'no-earlier') throw errors['nothing-to-roll-back-to'](`Revision ${rollout.revision} of ${key} has no earlier revision that is still kept.`);
  return next;
}

function newest(tables: Tables, key: string): Stored<Rollout> | undefined {
  const uid = tables.apps.get(key)?.value.meta.uid;
  return tables.rollouts.byIndex('app', key).filter((rollout) => rollout.value.appUid === uid).toSorted((a, b) => b.value.revision - a.value.revision)[0];
}

function find(tables: Tables, id: string, namespace: string): Stored<Rollout> {
  const found = tables.rollouts.list().find((rollout) => rollout.value.id === id) ?? newest(tables, resourceKey(namespace, id));
  if (!found) throw errors['deployment-not-found'](`There is no deployment ${id} in namespace ${namespace}: GET /deployments lists what there is.`);
  return found;
}

function presentRollout(stored: Stored<Rollout>, tables: Tables): z.infer<typeof Deployment> {
  const {value} = stored;
  const key = resourceKey(value.namespace, value.app);
  const app = tables.apps.get(key);
  const live = observed(tables, key).filter((container) => !container.removing);
  return {
    kind: 'Deployment',
    name: value.id,
    namespace: value.namespace,
    labels: app?.value.labels ?? {},
    annotations: {},
    spec: {app: value.app, revision: value.revision, previous: value.previous, strategy: value.strategy},
    status: {
      phase: value.phase,
      reason: value.reason,
      message: value.message,
      counts: value.counts,
      startedAt: value.startedAt,
      ...(value.finishedAt === undefined ? {} : {finishedAt: value.finishedAt}),
      ...(value.deadlineAt === undefined ? {} : {deadlineAt: value.deadlineAt}),
      desired: app ? desiredReplicas(app.value, machinesFor(tables, app.value)) : 0,
      updated: live.filter((container) => container.revision === goalOf(value)).length,
      ready: live.filter((container) => container.ready).length,
    },
    meta: {uid: value.id, version: stored.version, generation: Math.max(1, value.generation), createdAt: value.startedAt, updatedAt: value.finishedAt ?? value.startedAt},
  };
}
