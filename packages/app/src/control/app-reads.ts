/** Apps with their status, worked out when asked. */
import {call} from '@hivemind/bus';
import {placementRequest, resourceKey, templateOf, type App, type AppRecord, type NodeRefusal} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import type * as z from 'zod';
import {appResource} from '../core/resource.ts';
import {appStatus, missingContainers} from '../core/status.ts';
import type {ClusterView} from './view.ts';

type Refusals = readonly z.infer<typeof NodeRefusal>[];

/** Apps without a machine that are asked about in one answer; beyond that the reason is left out. */
const MOST_ASKED = 500;
const ASK_TIMEOUT_MS = 1000;

export async function appResources(context: Pick<ManagerContext, 'bus' | 'logger'>, view: ClusterView, records: readonly Stored<AppRecord>[]): Promise<readonly App[]> {
  const refusals = await askRefusals(context, view, records.map(({value}) => value));
  const machines = view.arePortsShared() ? view.publishing() : [];
  return records.map((stored) => {
    const {value: app} = stored;
    const seen = view.appView(resourceKey(app.namespace, app.name));
    // The record may be newer than the view; its rollout and containers are then about to come.
    const status = appStatus({...seen, app, waiting: view.waiting(app), held: heldOf(view, app), refusals: refusals.get(app.meta.uid), addressOf: (node) => view.addressOf(node), publishing: {machines, published: view.services.get(resourceKey(app.namespace, app.name))?.value}});
    return appResource(stored, status);
  });
}

/** Those whose machine is away, and that nothing takes the place of yet. How long a machine has been silent only its leader knows. */
function heldOf(view: ClusterView, app: AppRecord): NonNullable<Parameters<typeof appStatus>[0]['held']> {
  const {containers} = view.appView(resourceKey(app.namespace, app.name));
  const at = containers.map((container) => view.whereabouts(container, app, 0, (node) => (view.isHeard(node) ? undefined : 0)));
  return at.flatMap((each) => (each.kind === 'waiting' ? [each] : []));
}

/** Why containers have no machine is the scheduler's to say, so it is asked when somebody wants to know, rather than stored. */
async function askRefusals({bus, logger}: Pick<ManagerContext, 'bus' | 'logger'>, view: ClusterView, apps: readonly AppRecord[]): Promise<ReadonlyMap<string, Refusals>> {
  const waiting = apps.filter((app) => missingContainers({...view.appView(resourceKey(app.namespace, app.name)), app}) > 0 && view.waiting(app).length === 0).slice(0, MOST_ASKED);
  if (waiting.length === 0) return new Map();
  const requests = waiting.map(({meta, namespace, name, spec}) => placementRequest({id: meta.uid, namespace, app: name, template: templateOf(spec), perNode: spec.mode === 'global', volumeNode: (volume) => view.volumeNode(namespace, volume)}));
  try {
    const {refusals} = await call(bus, subjects.place, {}, {requests}, {timeoutMs: ASK_TIMEOUT_MS});
    return new Map(refusals.map(({id, nodes}) => [id, nodes]));
  } catch (err) {
    logger.warn({err}, 'the scheduler could not be asked why containers wait');
    return new Map(waiting.map(({meta}) => [meta.uid, [{node: 'scheduler', reason: 'cannot be reached, so nothing is placed now'}]]));
  }
}
