/**
 * What a container's machine means to it: may it stay, is it to move, may another one take its place?
 *
 * Three laws meet here. What ran on a dead machine is put elsewhere (9). What must never run twice is so only when the copy
 * there has stopped for certain: by its own watchdog, after a time that both clocks agree on, or by the word of a person (10).
 * And where a container's data is on the machine, it waits for the data (11).
 */
import {durationMs, fencingOf, globalOn, type NodeRecord, type NodeVerdict, stoppedAfterMs, tolerates} from '@hivemind/contracts';
import type {ContainerView} from '../model.ts';
import {isFinished} from './containers.ts';

/** A machine as the app manager sees it. */
export interface MachineView {
  readonly node: NodeRecord;
  readonly state: NodeVerdict['state'];
  /** A person has vouched that it is off. */
  readonly confirmedDead: boolean;
  /** ms since it was first seen here that its lease had lapsed; undefined: it is heard. */
  readonly silentMs: number | undefined;
}

export type WaitReason = 'VolumeOnDeadNode' | 'Fenced' | 'ReplacementPaused';

export type Whereabouts =
  /** It counts, and stays; `until`: ms since the epoch when that is to be looked at again. */
  | {readonly kind: 'settled'; readonly until?: number}
  /** It counts until another one is ready; `atOnce`: it stops now. `until`: ms since the epoch when it stops anyway. */
  | {readonly kind: 'leaving'; readonly atOnce: boolean; readonly until?: number}
  /** Its machine does not take such containers (any more); none takes its place. */
  | {readonly kind: 'unwanted'}
  /** It has stopped for certain, or may be given up: another one takes its place. Its record stays until its machine is back. */
  | {readonly kind: 'lost'}
  /** Its machine is not of the cluster any more. */
  | {readonly kind: 'gone'}
  /** Its machine is away, and nothing may take its place yet. `againInMs`: until time alone changes that. */
  | {readonly kind: 'waiting'; readonly reason: WaitReason; readonly message: string; readonly againInMs?: number};

export interface Surroundings {
  /** Undefined: the cluster does not know it. */
  readonly machine: MachineView | undefined;
  /** The container's app has one on each machine. */
  readonly global: boolean;
  /** Many machines went at once: nothing is replaced for now. */
  readonly braked: boolean;
  /** A volume of the container whose data is on its machine. */
  readonly localVolume: string | undefined;
  /** ms since the epoch. */
  readonly now: number;
}

const settled: Whereabouts = {kind: 'settled'};

export function whereaboutsOf(view: ContainerView, surroundings: Surroundings): Whereabouts {
  const {machine, global} = surroundings;
  if (machine === undefined) return {kind: 'gone'};
  if (isFinished(view)) return settled;
  const {placement} = view.record.template;
  if (global) return globalOn(machine.node, machine.state, placement) === 'no' ? {kind: 'unwanted'} : settled;
  return away(view, machine, surroundings) ?? leaving(view, machine, surroundings) ?? settled;
}

function away({record}: ContainerView, machine: MachineView, {braked, localVolume}: Surroundings): Whereabouts | undefined {
  const {state, confirmedDead, silentMs, node: {name}} = machine;
  const fencing = fencingOf(record.template);
  if (silentMs === undefined && state === 'ready') return undefined;
  if (!confirmedDead) {
    if (fencing?.onIsolation === 'keep') {
      return state === 'ready' ? undefined : {kind: 'waiting', reason: 'Fenced', message: `${record.id} may still run on ${name}, which is not heard: hivemind node fence ${name} --confirm-dead, when that machine is off`};
    }
    if (fencing !== undefined) {
      const needed = stoppedAfterMs(fencing.leaseMs, durationMs(record.template.stop.grace));
      const leftMs = silentMs === undefined ? needed : needed - silentMs;
      if (leftMs > 0) return {kind: 'waiting', reason: 'Fenced', message: `${record.id} may still run on ${name}, which is not heard: it stops itself within ${Math.ceil(needed / 1000)} s of silence`, againInMs: leftMs};
      // It has just registered: the verdict is about to follow.
    } else if (state !== 'dead' || silentMs === undefined) return undefined;
    if (braked) return {kind: 'waiting', reason: 'ReplacementPaused', message: `${name} is not heard, but neither are many others: replacement is paused (GET /nodes/brake says why, hivemind node brake --release ends it)`};
  }
  if (localVolume !== undefined) return {kind: 'waiting', reason: 'VolumeOnDeadNode', message: `the data of volume ${localVolume} is on ${name}, which is dead: ${record.id} waits for it, or until somebody gives the data up (hivemind volume abandon ${localVolume})`};
  return {kind: 'lost'};
}

function leaving({record}: ContainerView, {node: {spec}}: MachineView, {localVolume, now}: Surroundings): Whereabouts | undefined {
  const {drain, taints} = spec;
  const {tolerations = []} = record.template.placement;
  const driven = taints.some((taint) => taint.effect === 'NoExecute' && !tolerates(tolerations, taint));
  if (drain === undefined && !driven) return undefined;
  // Its only place is here: it is stopped where that was asked for, and never moved.
  if (localVolume !== undefined) return drain?.stopLocal === true ? {kind: 'leaving', atOnce: true} : undefined;
  const until = drain?.deadlineAt === undefined ? undefined : Date.parse(drain.deadlineAt);
  const atOnce = until !== undefined && now >= until;
  // A run that is under way is left to its end, as long as there is time: begun anew elsewhere it would be done twice.
  if (record.mode === 'job' && !atOnce) return {kind: 'settled', ...(until === undefined ? {} : {until})};
  return {kind: 'leaving', atOnce, ...(until === undefined ? {} : {until})};
}
