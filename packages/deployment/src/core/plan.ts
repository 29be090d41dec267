/**
 * How a change of an app proceeds: from the app, its rollouts and its containers to the rollout records that should be
 * written next. Pure; the reconciler calls it whenever anything moved and at `wakeAt`.
 *
 *   progressing ──all new available──► completed
 *    │   ▲  │
 *    │   │  └─ failed new containers, or deadline ──► rolling-back ──old restored──► rolled-back
 *  pause │                                       └──► failed (no auto-rollback, or nothing to go back to)
 *    ▼   │resume
 *   paused ┘                 any of them, when a newer revision arrives ──► superseded
 *
 * Invariants: 1. Only the rollout of the highest revision is acted upon. 2. While a rollout is under way, ready containers
 * of the old revision are given up only as new ones are available. 3. A phase that ended (completed, rolled-back,
 * superseded) never becomes progressing again for the same revision. 4. `completed` is said only when every wanted
 * container of the new revision is available and none of another revision is wanted.
 */
import {durationMs, type AppRecord, type ContainerStatus, type RevisionCount, type Rollout} from '@hivemind/contracts';
import type {ObservedContainer, RolloutDecision, RolloutInput} from '../model.ts';
import {nextCounts} from './counts.ts';
import {boundsOf, chooseStrategy} from './strategy.ts';

/** Restarts in a row after which a new container is taken for broken rather than slow. */
export const hopelessRestarts = 3;

const isOver = (phase: Rollout['phase']): boolean => phase === 'completed' || phase === 'rolled-back' || phase === 'superseded';

export function planRollout(input: RolloutInput): RolloutDecision {
  const {app} = input;
  if (app.deletedAt !== undefined) return {writes: [], wakeAt: undefined};
  const newest = input.rollouts.filter((rollout) => rollout.appUid === app.meta.uid).toSorted((a, b) => b.revision - a.revision)[0];
  if (newest === undefined || newest.revision < app.revision) return begin(input, newest);
  const step = advance(input, newest);
  const changed = JSON.stringify(step.rollout) !== JSON.stringify(newest);
  return {writes: changed ? [step.rollout] : [], wakeAt: step.wakeAt};
}

/** Containers that the app wants in all. @param machines of an app with one container a machine: those that it is on, or may be */
export function desiredReplicas({stopped, spec}: AppRecord, machines = 0): number {
  if (stopped) return 0;
  return spec.mode === 'global' ? machines : spec.replicas;
}

/** The revision that a rollout is making so: its own, or the one it goes back to. */
export function goalOf(rollout: Rollout): number {
  const back = rollout.phase === 'rolling-back' || rollout.phase === 'rolled-back';
  return back && rollout.previous !== null ? rollout.previous : rollout.revision;
}

function begin(input: RolloutInput, before: Rollout | undefined): RolloutDecision {
  const {app, now} = input;
  const writes: Rollout[] = [];
  let previous: number | null = null;
  if (before !== undefined) {
    // What served before is what to go back to: of an unfinished rollout, not its own revision but the one it replaced.
    previous = before.phase === 'completed' || servesFirst(input, before) ? before.revision : before.previous;
    if (previous !== null && !input.revisions.has(previous)) previous = null;
    if (!isOver(before.phase)) writes.push({...before, phase: 'superseded', reason: 'Superseded', message: `revision ${app.revision} took over`, finishedAt: iso(now)});
  }
  const fresh: Rollout = {
    id: `${app.meta.uid}-${app.revision}`,
    appUid: app.meta.uid,
    app: app.name,
    namespace: app.namespace,
    revision: app.revision,
    previous,
    phase: 'progressing',
    strategy: chooseStrategy(app.spec, input.sharedPorts).name,
    counts: before?.counts ?? [],
    generation: app.meta.generation,
    reason: 'Progressing',
    message: '',
    startedAt: iso(now),
    deadlineAt: iso(now + durationMs(app.spec.update.deadline)),
    progress: 0,
  };
  const step = advance(input, fresh);
  return {writes: [...writes, step.rollout], wakeAt: step.wakeAt};
}

/** An app's first revision with all its containers ready has done its work, though that was not written down before the next came. */
function servesFirst(input: RolloutInput, {revision, previous, counts}: Rollout): boolean {
  const asked = counts.find((count) => count.revision === revision)?.replicas ?? 0;
  return previous === null && asked > 0 && survey(input, revision, 0).available >= asked;
}

interface Step {
  readonly rollout: Rollout;
  readonly wakeAt: number | undefined;
}

function advance(input: RolloutInput, rollout: Rollout): Step {
  const current: Rollout = {...rollout, generation: input.app.meta.generation};
  if (input.app.spec.mode === 'job') return {rollout: advanceJob(input, current), wakeAt: undefined};
  switch (current.phase) {
    case 'progressing':
    case 'failed':
      return progress(input, current);
    case 'rolling-back':
      return restore(input, current);
    case 'paused':
    case 'aborted':
      return {rollout: {...current, counts: resized(current, input)}, wakeAt: undefined};
    default:
      return {rollout: {...current, counts: [full(goalOf(current), desiredReplicas(input.app, input.machines))]}, wakeAt: undefined};
  }
}

function full(revision: number, replicas: number): RevisionCount {
  return {revision, replicas, weight: 100};
}

/** A paused rollout keeps its mixture; a change of `replicas` goes to the revision that has most. */
function resized(rollout: Rollout, {app, machines}: RolloutInput): readonly RevisionCount[] & Rollout['counts'] {
  const total = rollout.counts.reduce((sum, count) => sum + count.replicas, 0);
  const desired = desiredReplicas(app, machines);
  const {surge, unavailable} = boundsOf(rollout.strategy, app.spec, desired);
  if (total >= Math.max(0, desired - unavailable) && total <= desired + surge && desired > 0) return rollout.counts;
  let missing = desired - total;
  return rollout.counts
    .toSorted((a, b) => b.replicas - a.replicas)
    .map((count) => {
      const replicas = Math.max(0, count.replicas + missing);
      missing -= replicas - count.replicas;
      return {...count, replicas};
    })
    .toSorted((a, b) => a.revision - b.revision);
}

/** How the containers of the new revision fare. */
function survey(input: RolloutInput, revision: number, healthyForMs: number) {
  const live = input.containers.filter((container) => container.revision === revision && !container.removing);
  let available = 0;
  let nextAvailableAt: number | undefined;
  for (const container of live) {
    if (!container.ready || container.readySince === undefined) continue;
    const at = container.readySince + healthyForMs;
    if (at <= input.now) available += 1;
    else nextAvailableAt = Math.min(nextAvailableAt ?? at, at);
  }
  const hopeless = live.find((container) => container.hopeless !== undefined)?.hopeless;
  return {live, available, nextAvailableAt, hopeless};
}

function progress(input: RolloutInput, rollout: Rollout): Step {
  const {app, now} = input;
  const desired = desiredReplicas(app, input.machines);
  // An app's first containers replace nothing: being ready is enough.
  const seen = survey(input, rollout.revision, rollout.previous === null ? 0 : durationMs(app.spec.update.healthyFor));
  const deadlineMs = durationMs(app.spec.update.deadline);
  const moved = seen.available > rollout.progress;
  let next: Rollout = moved ? {...rollout, phase: 'progressing', progress: seen.available, deadlineAt: iso(now + deadlineMs)} : rollout;
  if (next.phase === 'progressing') {
    const failure = failureOf(input, next, seen.hopeless);
    if (failure !== undefined) return fail(input, next, failure);
  }
  // A failed rollout holds still: the old revision keeps what it has.
  if (next.phase === 'failed' && next.previous !== null) return {rollout: next, wakeAt: undefined};
  const counts = nextCounts({desired, goal: next.revision, counts: next.counts, containers: input.containers, bounds: boundsOf(next.strategy, app.spec, desired), available: seen.available});
  next = {...next, counts: [...counts]};
  const asked = counts.find((count) => count.revision === next.revision)?.replicas ?? 0;
  const leftovers = input.containers.some((container) => container.revision !== next.revision);
  if (asked === desired && seen.available >= desired && counts.length === 1 && !leftovers) {
    return {rollout: {...next, phase: 'completed', reason: 'Completed', message: `${desired} of ${desired} replicas run revision ${next.revision}`, finishedAt: iso(now), counts: [full(next.revision, desired)]}, wakeAt: undefined};
  }
  if (next.phase === 'failed') return {rollout: next, wakeAt: undefined};
  next = {...next, reason: 'Progressing', message: `${seen.available} of ${desired} replicas of revision ${next.revision} are available`};
  return {rollout: next, wakeAt: earliest(seen.nextAvailableAt, next.deadlineAt)};
}

function failureOf(input: RolloutInput, rollout: Rollout, hopeless: string | undefined): {reason: string; message: string} | undefined {
  if (hopeless !== undefined && rollout.previous !== null) return {reason: 'ContainersFail', message: hopeless};
  if (rollout.deadlineAt !== undefined && input.now >= Date.parse(rollout.deadlineAt)) {
    return {reason: 'DeadlineExceeded', message: hopeless ?? `no progress within ${input.app.spec.update.deadline}: ${rollout.message}`};
  }
  return undefined;
}

function fail(input: RolloutInput, rollout: Rollout, failure: {reason: string; message: string}): Step {
  const canGoBack = rollout.previous !== null && input.revisions.has(rollout.previous);
  if (canGoBack && input.app.spec.update.autoRollback) {
    return restore(input, {...rollout, phase: 'rolling-back', reason: failure.reason, message: `revision ${rollout.revision} failed: ${failure.message}`});
  }
  return {rollout: {...rollout, phase: 'failed', reason: failure.reason, message: failure.message}, wakeAt: undefined};
}

/** Going back: the previous revision is known to work, so being ready is enough, and it may surge as the rollout did. */
function restore(input: RolloutInput, rollout: Rollout): Step {
  const goal = goalOf(rollout);
  const desired = desiredReplicas(input.app, input.machines);
  const seen = survey(input, goal, 0);
  const counts = nextCounts({desired, goal, counts: rollout.counts, containers: input.containers, bounds: boundsOf(rollout.strategy, input.app.spec, desired), available: seen.available});
  const leftovers = input.containers.some((container) => container.revision !== goal);
  const done = seen.available >= desired && counts.length === 1 && (counts[0]?.replicas ?? 0) === desired && !leftovers;
  if (!done) return {rollout: {...rollout, counts: [...counts]}, wakeAt: undefined};
  return {rollout: {...rollout, phase: 'rolled-back', counts: [full(goal, desired)], finishedAt: iso(input.now)}, wakeAt: undefined};
}

function advanceJob(input: RolloutInput, rollout: Rollout): Rollout {
  const desired = desiredReplicas(input.app, input.machines);
  const counts = [full(rollout.revision, desired)];
  const own = input.containers.filter((container) => container.revision === rollout.revision && !container.removing);
  const completed = own.filter((container) => container.completed).length;
  if (isOver(rollout.phase)) return {...rollout, counts};
  if (completed >= desired) return {...rollout, counts, phase: 'completed', reason: 'Completed', message: `${completed} of ${desired} runs completed`, finishedAt: iso(input.now)};
  const hopeless = own.find((container) => container.hopeless !== undefined)?.hopeless;
  if (hopeless !== undefined) return {...rollout, counts, phase: 'failed', reason: 'ContainersFail', message: hopeless};
  return {...rollout, counts, phase: 'progressing', reason: 'Progressing', message: `${completed} of ${desired} runs completed`};
}

/** What a person asks of a rollout in progress; undefined when it cannot be done in its phase. */
export function command(rollout: Rollout, action: 'pause' | 'resume' | 'rollback' | 'abort', app: AppRecord, revisions: ReadonlySet<number>, now: number): Rollout | 'finished' | 'no-earlier' {
  const underWay = rollout.phase === 'progressing' || rollout.phase === 'paused' || rollout.phase === 'failed';
  if (action === 'pause') return rollout.phase === 'progressing' ? {...rollout, phase: 'paused', reason: 'Paused', message: 'paused by request'} : rollout.phase === 'paused' ? rollout : 'finished';
  if (action === 'resume') {
    if (rollout.phase === 'progressing') return rollout;
    if (rollout.phase !== 'paused' && rollout.phase !== 'failed') return 'finished';
    return {...rollout, phase: 'progressing', reason: 'Progressing', message: 'resumed by request', deadlineAt: iso(now + durationMs(app.spec.update.deadline))};
  }
  if (rollout.phase === 'rolling-back' || rollout.phase === 'rolled-back') return rollout;
  if (action === 'abort' && !underWay) return 'finished';
  if (rollout.previous === null || !revisions.has(rollout.previous)) return 'no-earlier';
  return {...rollout, phase: 'rolling-back', reason: action === 'abort' ? 'Aborted' : 'RolledBack', message: `${action === 'abort' ? 'aborted' : 'rolled back'} by request`};
}

function earliest(a: number | undefined, deadlineAt: string | undefined): number | undefined {
  const deadline = deadlineAt === undefined ? undefined : Date.parse(deadlineAt);
  if (a === undefined) return deadline;
  return deadline === undefined ? a : Math.min(a, deadline);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** The planner's view of one container. */
export function observe(record: {readonly id: string; readonly revision: number; readonly removedAt?: string | undefined}, status: ContainerStatus | undefined): ObservedContainer {
  return {
    id: record.id,
    revision: record.revision,
    removing: record.removedAt !== undefined,
    ready: status?.ready === true,
    readySince: status?.ready === true && status.readySince !== undefined ? Date.parse(status.readySince) : undefined,
    hopeless: status === undefined ? undefined : hopelessness(status),
    completed: status?.phase === 'exited' && status.exitCode === 0,
  };
}

/** Images that do not exist, commands that cannot start and containers that crash again and again do not heal by waiting. */
function hopelessness(status: ContainerStatus): string | undefined {
  if (status.ready) return undefined;
  const said = status.message === '' ? status.reason : status.message;
  if (['ImageNotFound', 'ImageUnauthorized', 'StartFailed'].includes(status.reason)) return said;
  if (status.phase === 'failed') return said;
  if (status.restarts >= hopelessRestarts && status.phase !== 'running') return `restarted ${status.restarts} times, last exit code ${status.exitCode ?? 'unknown'}: ${said}`;
  return undefined;
}

