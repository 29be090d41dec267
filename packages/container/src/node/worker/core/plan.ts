/**
 * What to do next about one container: from what is wanted, what the engine has, and what is remembered. Pure: the same
 * situation gives the same plan. The engine's container is the only one for its id, so a plan that sees one never creates.
 */
import {type ContainerRecord, durationMs, engineLabels} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import {type Contact, type Isolation, isolationOf} from './isolation.ts';
import type {Memory} from './memory.ts';
import type {Step} from './steps.ts';

export interface Situation {
  /** What it is made from: as assigned, or as its engine label says. Undefined: not known (yet). */
  readonly record: ContainerRecord | undefined;
  /** The assignment lists it. */
  readonly wanted: boolean;
  /** Nothing unlisted may be stopped or removed: the assignment is a cached one, or not yet adopted (law 12). */
  readonly held: boolean;
  readonly observed: RuntimeContainer | undefined;
  readonly memory: Memory;
  /** Whether the control plane is heard; absent: it is. */
  readonly contact?: Contact;
}

export interface Plan {
  /** In order; each only after the one before succeeded. */
  readonly steps: readonly Step[];
  /** Look again then (ms since the epoch): it is in back-off, or must never run twice. */
  readonly wakeAt?: number;
}

const nothing: Plan = {steps: []};
/** For what has no record: the defaults of StopSpec. */
const plainStop: Step = {action: 'stop', signal: 'SIGTERM', graceMs: 10_000};

/** @param now ms since the epoch */
export function planContainer(situation: Situation, now: number): Plan {
  const {record, wanted, held, observed} = situation;
  if (!wanted) return held && observed ? watchOnly(situation) : {steps: removal(situation)};
  if (!record) return nothing;
  const isolation = situation.contact && isolationOf(record, situation.contact);
  return isolation ? guarded(situation, record, isolation, now) : planWanted(situation, record, now);
}

function guarded(situation: Situation, record: ContainerRecord, {mayStart, mustStop, againInMs}: Isolation, now: number): Plan {
  const alive = situation.observed?.state === 'running' || situation.observed?.state === 'paused';
  const wakeAt = now + againInMs;
  if (alive && mustStop) return {steps: [stopOf(record)], wakeAt};
  if (!alive && !mayStart) return {steps: [], wakeAt};
  const plan = planWanted(situation, record, now);
  return {...plan, wakeAt: Math.min(plan.wakeAt ?? wakeAt, wakeAt)};
}

function planWanted({observed, memory}: Situation, record: ContainerRecord, now: number): Plan {
  if (observed?.state === 'running' || observed?.state === 'paused') return planRunning(record, memory, now);
  if (memory.outcome) return nothing;
  const steps = bringUp(record, observed, memory);
  return now < memory.notBefore ? {steps: [], wakeAt: memory.notBefore} : {steps};
}

/** A held container is left as it is, but its probes go on: it may be adopted. */
function watchOnly({record, observed, memory}: Situation): Plan {
  return record && observed?.state === 'running' && !memory.watched ? {steps: [{action: 'watch'}]} : nothing;
}

function planRunning(record: ContainerRecord, memory: Memory, now: number): Plan {
  if (memory.restart) {
    const again = memory.outcome === undefined;
    if (again && now >= memory.notBefore) return {steps: [stopOf(record), {action: 'start'}, {action: 'watch'}]};
    return {steps: [stopOf(record)], ...(again ? {wakeAt: memory.notBefore} : {})};
  }
  return memory.watched ? nothing : {steps: [{action: 'watch'}]};
}

function bringUp(record: ContainerRecord, observed: RuntimeContainer | undefined, memory: Memory): Step[] {
  const run: Step[] = [{action: 'start'}, {action: 'watch'}];
  if (observed && observed.state !== 'dead') return run;
  const {policy} = record.template.pull;
  const pull = policy === 'always' ? !memory.pulled : policy === 'missing' && memory.imageMissing;
  return [
    ...(observed ? [{action: 'remove'} as const] : []),
    ...(pull ? [{action: 'pull', image: record.template.image} as const] : []),
    {action: 'create'},
    ...run,
  ];
}

function removal({record, observed, memory}: Situation): Step[] {
  const forget: Step = {action: 'forget'};
  if (!observed) return [forget];
  const alive = observed.state === 'running' || observed.state === 'paused';
  return [...(record ? drainOf(record, observed, memory) : []), ...(alive ? [record ? stopOf(record) : plainStop] : []), {action: 'remove'}, forget];
}

/** Only what has an address of the cluster's is led to by other machines; a job serves nobody. */
function drainOf({mode, template}: ContainerRecord, {state, labels}: RuntimeContainer, {drained}: Memory): Step[] {
  const forMs = durationMs(template.stop.drain);
  const serves = state === 'running' && mode !== 'job' && labels[engineLabels.address] !== undefined;
  return serves && !drained && forMs > 0 ? [{action: 'drain', forMs}] : [];
}

function stopOf(record: ContainerRecord): Step {
  const {signal, grace} = record.template.stop;
  return {action: 'stop', signal, graceMs: durationMs(grace)};
}
