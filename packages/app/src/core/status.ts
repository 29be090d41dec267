/**
 * An app's status, worked out on read from what was asked, what is rolled out and what the nodes report. Nothing of it is
 * stored, so it cannot be out of date by itself.
 *
 * The phase answers "does it do what was asked?": `running` only when the newest revision serves with all replicas;
 * `degraded` when it serves, but not all of it or not as asked; `failed` when nothing serves and something is wrong.
 */
import {type AppRecord, type AppStatus, type Condition, type NodeRefusal} from '@hivemind/contracts';
import type * as z from 'zod';
import type {AppView, ContainerView, Waiting} from '../model.ts';
import {isFailing, isFinished, isGivenUp, isLive, isReady, isRunning} from './containers.ts';
import {endpointsOf, type Publishing, publishedCondition} from './endpoints.ts';
import {failureText} from './failure-text.ts';
import type {Whereabouts} from './whereabouts.ts';

export interface StatusInput extends AppView {
  readonly app: AppRecord;
  readonly waiting: readonly Waiting[];
  /** What the nodes say to the containers that have no machine; undefined: not asked, or they fit. */
  readonly refusals?: readonly z.infer<typeof NodeRefusal>[];
  /** Containers whose machine is away, and that nothing takes the place of yet. */
  readonly held?: readonly Extract<Whereabouts, {readonly kind: 'waiting'}>[];
  /** Address that ports published on a node are reached at. */
  readonly addressOf: (node: string) => string | undefined;
  /** Absent: the engines publish. */
  readonly publishing?: Publishing;
}

/** The facts that phase and conditions are worked out from. */
interface Facts extends StatusInput {
  readonly desired: number;
  readonly live: readonly ContainerView[];
  readonly ready: number;
  readonly running: number;
  readonly finished: number;
  readonly failing: readonly ContainerView[];
  /** Containers wanted and not placed. */
  readonly unplaced: number;
}

export function appStatus(input: StatusInput): AppStatus {
  const facts = gather(input);
  const {app, live, desired, running, ready} = facts;
  return {
    phase: phaseOf(facts),
    replicas: {desired, running, ready, updated: live.filter(({record}) => record.revision === app.revision).length},
    revision: app.revision,
    endpoints: [...endpointsOf(live.filter(isReady), input)],
    conditions: conditionsOf(facts),
  };
}

/** Containers that the rollout asks for and that have not been placed. */
export function missingContainers({app, rollout, containers}: AppView): number {
  if (app === undefined || app.stopped || app.deletedAt !== undefined || rollout === undefined) return 0;
  return rollout.counts.reduce((missing, {revision, replicas}) => {
    const present = containers.filter((view) => isLive(view) && view.record.appUid === app.meta.uid && view.record.revision === revision).length;
    return missing + Math.max(0, replicas - present);
  }, 0);
}

/** Containers that there should be; one a machine is as many as the rollout counts. */
export function desiredOf({app, rollout}: Pick<StatusInput, 'app' | 'rollout'>): number {
  if (app.stopped || app.deletedAt !== undefined) return 0;
  return app.spec.mode === 'global' ? (rollout?.counts.reduce((sum, {replicas}) => sum + replicas, 0) ?? 0) : app.spec.replicas;
}

function gather(input: StatusInput): Facts {
  const {app, containers} = input;
  const live = containers.filter((view) => isLive(view) && view.record.appUid === app.meta.uid);
  return {
    ...input,
    desired: desiredOf(input),
    live,
    ready: live.filter(isReady).length,
    running: live.filter(isRunning).length,
    finished: live.filter(isFinished).length,
    failing: live.filter(isFailing),
    unplaced: missingContainers(input),
  };
}

function phaseOf(facts: Facts): AppStatus['phase'] {
  const {app, containers, rollout, desired, live, ready, running, finished, failing, unplaced, waiting, refusals} = facts;
  if (app.deletedAt !== undefined) return 'progressing';
  if (app.stopped) return containers.length > 0 ? 'progressing' : 'stopped';
  if (desired > 0 && finished >= desired) return 'completed';
  if (app.spec.mode === 'job') return jobPhase(facts);
  if (live.length === 0 && desired > 0 && (waiting.length > 0 || refusals !== undefined)) return 'pending';
  if (ready === 0 && (facts.held?.length ?? 0) > 0) return 'pending';
  switch (rollout?.phase) {
    case undefined:
      return live.length === 0 ? 'pending' : 'progressing';
    case 'failed':
    case 'aborted':
      return ready === 0 && desired > 0 ? 'failed' : 'degraded';
    case 'rolled-back':
      return ready === 0 && desired > 0 ? 'failed' : 'degraded';
    case 'rolling-back':
      return 'progressing';
    default:
  }
  const allReady = ready >= desired && live.length === desired;
  // An app's first rollout has nothing to go back to: it runs as soon as all is ready.
  if (allReady && (rollout?.phase === 'completed' || rollout?.previous === null)) return 'running';
  if (failing.length > 0 && ready === 0) return 'failed';
  if (rollout?.phase !== 'completed' && rollout?.previous !== null) return 'progressing';
  if (failing.length > 0 || (unplaced > 0 && refusals !== undefined)) return ready > 0 || running > 0 ? 'degraded' : 'pending';
  return 'progressing';
}

function jobPhase({live, failing, running, refusals, waiting}: Facts): AppStatus['phase'] {
  if (failing.some(isGivenUp)) return 'failed';
  if (running > 0) return 'running';
  if (live.length === 0) return waiting.length > 0 || refusals !== undefined ? 'pending' : 'progressing';
  return failing.length > 0 ? 'degraded' : 'progressing';
}

function conditionsOf(facts: Facts): Condition[] {
  const {app, waiting, failing} = facts;
  const conditions: Condition[] = [available(facts)];
  if (facts.rollout !== undefined) conditions.push(rolledOut(facts.rollout));
  if (app.deletedAt !== undefined) conditions.push({type: 'Deleting', status: 'true', reason: 'Deleting', message: `${facts.containers.length} containers are still there`, since: app.deletedAt});
  const since = app.meta.updatedAt;
  if (waiting.length > 0 && facts.live.length === 0 && !app.stopped) {
    conditions.push({type: 'DependenciesMet', status: 'false', reason: 'WaitingForDependency', message: `waits: ${waiting.map(({message}) => message).join('; ')}`, since});
  }
  conditions.push(...publishedCondition(facts.publishing, since));
  if (facts.unplaced > 0 && facts.refusals !== undefined) {
    conditions.push({type: 'Placed', status: 'false', reason: 'Unplaced', message: unplacedText(facts.unplaced, facts.refusals), since});
  }
  const [first, ...rest] = facts.held ?? [];
  if (first !== undefined) {
    conditions.push({type: 'Replaced', status: 'false', reason: first.reason, message: `${first.message}${rest.length === 0 ? '' : ` (and ${rest.length} more)`}`, since});
  }
  const [worst, ...others] = failing;
  if (worst !== undefined) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    conditions.push({type: 'Failing', status: 'true', reason: worst.status?.reason || 'Exited', message: `${failureText(worst)}${more}`, since: worst.status?.finishedAt ?? since});
  }
  return conditions;
}

function available({app, desired, ready, finished, live}: Facts): Condition {
  const type = 'Available';
  if (app.stopped) return {type, status: 'false', reason: 'Stopped', message: 'stopped by request', since: app.meta.updatedAt};
  if (desired > 0 && finished >= desired) {
    return {type, status: 'true', reason: 'Completed', message: `${finished} of ${desired} runs completed`, since: newest(live, ({status}) => status?.finishedAt) ?? app.meta.updatedAt};
  }
  const enough = ready >= desired;
  return {
    type,
    status: enough ? 'true' : 'false',
    reason: enough ? 'AllReady' : 'NotReady',
    message: `${ready} of ${desired} replicas are ready`,
    since: (enough ? newest(live, ({status}) => status?.readySince) : newest(live, ({status}) => status?.finishedAt ?? status?.startedAt)) ?? app.meta.updatedAt,
  };
}

function rolledOut({phase, reason, message, startedAt, finishedAt}: NonNullable<AppView['rollout']>): Condition {
  const ended = phase === 'completed' || phase === 'rolled-back' || phase === 'failed' || phase === 'aborted' || phase === 'superseded';
  const word = phase.split('-').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
  return {
    type: 'RolledOut',
    status: phase === 'completed' ? 'true' : ended ? 'false' : 'unknown',
    reason: word,
    message: reason === word || reason === '' ? message : `${reason}: ${message}`,
    since: finishedAt ?? startedAt,
  };
}

/** `1 container has no machine. node-1: asks 64Gi of memory, 12.1Gi of 23.4Gi free`. */
export function unplacedText(count: number, refusals: readonly z.infer<typeof NodeRefusal>[]): string {
  const head = `${count} container${count === 1 ? ' has' : 's have'} no machine`;
  if (refusals.length === 0) return `${head}: there is none in the cluster`;
  return `${head}. ${refusals.map(({node, reason}) => `${node}: ${reason}`).join('; ')}`;
}

function newest(views: readonly ContainerView[], timeOf: (view: ContainerView) => string | undefined): string | undefined {
  return views.map(timeOf).reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a), undefined);
}
