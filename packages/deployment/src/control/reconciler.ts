/** Re-reads one app and writes the rollouts that the plan asks for. */
import {globalOn, resourceKey, revisionKey, splitKey, statusUnder, type AppRecord, type Rollout} from '@hivemind/contracts';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import type {Compare, Fence, Stored, Write} from '@hivemind/store';
import {observe, planRollout} from '../core/plan.ts';
import type {ObservedContainer} from '../model.ts';
import {arePortsShared, rollouts as rolloutCollection, type Tables} from './tables.ts';

/** Rollouts kept for each app, the current one included. */
export const keptRollouts = 10;

export interface ReconcilerOptions {
  readonly context: Pick<ManagerContext, 'store' | 'logger' | 'now' | 'uid'>;
  readonly tables: Tables;
  /** Proof of leadership; undefined: not leading, so nothing is written. */
  readonly fence: () => Fence | undefined;
  readonly wakeAt: (key: string, timeMs: number) => void;
}

export function createReconciler({context, tables, fence, wakeAt}: ReconcilerOptions): (key: string) => Promise<void> {
  return async (key) => {
    const proof = fence();
    if (proof === undefined) return;
    const app = tables.apps.get(key);
    const stored = tables.rollouts.byIndex('app', key);
    const strangers = stored.filter((rollout) => rollout.value.appUid !== app?.value.meta.uid);
    if (strangers.length > 0) await remove(strangers, proof);
    if (!app) return;
    const own = stored.filter((rollout) => rollout.value.appUid === app.value.meta.uid);
    const revisions = new Set(tables.revisions.byIndex('app', key).filter((revision) => revision.value.appUid === app.value.meta.uid).map((revision) => revision.value.number));
    // The revision is written with the app, but the two caches may stand apart for a moment: its change wakes this again.
    if (!revisions.has(app.value.revision)) return;
    const decision = planRollout({app: app.value, rollouts: own.map((rollout) => rollout.value), containers: observed(tables, key), revisions, machines: machinesFor(tables, app.value), sharedPorts: arePortsShared(tables), now: context.now()});
    if (decision.wakeAt !== undefined) wakeAt(key, decision.wakeAt);
    if (decision.writes.length === 0) return;
    const before = new Map(own.map((rollout) => [rollout.value.revision, rollout]));
    const written = await write(decision.writes, before, [{collection: 'apps', key, version: app.version}], proof);
    if (!written) return;
    for (const rollout of decision.writes) tell(before.get(rollout.revision)?.value, rollout);
    await remove(own.toSorted((a, b) => b.value.revision - a.value.revision).slice(keptRollouts), proof);
  };

  /** Answers false when something moved meanwhile: that change wakes the key again. */
  async function write(next: readonly Rollout[], before: ReadonlyMap<number, Stored<Rollout>>, compare: readonly Compare[], proof: Fence): Promise<boolean> {
    const compares = [...compare];
    const writes: Write[] = [];
    for (const rollout of next) {
      const key = revisionKey(rollout.namespace, rollout.app, rollout.revision);
      const previous = before.get(rollout.revision);
      compares.push(previous ? rolloutCollection.unchanged(previous) : rolloutCollection.absent(key));
      writes.push(rolloutCollection.putting(key, rollout, previous ? {previous} : {}));
    }
    const result = await context.store.transact({compare: compares, writes, fence: proof});
    return result.ok;
  }

  async function remove(stale: readonly Stored<Rollout>[], proof: Fence): Promise<void> {
    if (stale.length === 0) return;
    await context.store.transact({writes: stale.map((rollout) => rolloutCollection.deleting(rollout.key)), fence: proof});
  }

  function tell(before: Rollout | undefined, after: Rollout): void {
    if (before?.phase === after.phase) return;
    const subject = {namespace: after.namespace, kind: 'App', name: after.app};
    const event = eventOf(after);
    recordEvent(context, {...subject, ...event});
    context.logger.info({app: resourceKey(after.namespace, after.app), revision: after.revision, phase: after.phase, reason: after.reason}, 'rollout');
  }
}

function eventOf(rollout: Rollout): {type: 'normal' | 'warning'; reason: string; message: string} {
  const {revision, previous, message} = rollout;
  switch (rollout.phase) {
    case 'progressing':
      return {type: 'normal', reason: 'RolloutStarted', message: previous === null ? `rolling out revision ${revision}` : `rolling out revision ${revision} in place of ${previous} (${rollout.strategy})`};
    case 'completed':
      return {type: 'normal', reason: 'RolloutCompleted', message};
    case 'paused':
      return {type: 'normal', reason: 'RolloutPaused', message};
    case 'superseded':
      return {type: 'normal', reason: 'RolloutSuperseded', message};
    case 'rolling-back':
      return {type: 'warning', reason: 'RollingBack', message: `going back to revision ${previous}: ${message}`};
    case 'rolled-back':
      return {type: 'warning', reason: 'RolledBack', message: `revision ${previous} runs again: ${message}`};
    case 'failed':
    case 'aborted':
      return {type: 'warning', reason: 'RolloutFailed', message};
  }
}

/** The app's containers of its present life, as the planner sees them. */
export function observed(tables: Tables, key: string): readonly ObservedContainer[] {
  const statuses = new Map(tables.statuses.byIndex('app', key).map((status) => [status.value.id, status.value.status]));
  const uid = tables.apps.get(key)?.value.meta.uid;
  const {namespace} = splitKey(key);
  return tables.containers
    .byIndex('app', key)
    .filter(({value}) => value.appUid === uid && value.namespace === namespace)
    // What was told to go with its machine dead can be waited for no longer; it goes when the machine is back.
    .filter(({value}) => value.removedAt === undefined || tables.verdicts.get(value.node)?.value.state !== 'dead')
    .map(({value}) => {
      const status = statuses.get(value.id);
      return observe(value, status && statusUnder(tables.verdicts.get(value.node)?.value, status));
    });
}

/** The machines that an app with one container a machine is on: those that take one, and those that keep theirs. */
export function machinesFor(tables: Tables, {spec, namespace, name}: AppRecord): number {
  if (spec.mode !== 'global') return 0;
  const held = new Set(tables.containers.byIndex('app', resourceKey(namespace, name)).filter(({value}) => value.removedAt === undefined).map(({value}) => value.node));
  return tables.nodes.list().filter(({key, value}) => {
    const here = globalOn(value, tables.verdicts.get(key)?.value.state ?? 'ready', spec.placement);
    return here === 'yes' || (here === 'keep' && held.has(key));
  }).length;
}
