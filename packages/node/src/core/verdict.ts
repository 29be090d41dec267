/**
 * Is a machine there? Two signals say so: its control lease, which its agent keeps alive, and gossip, in which the machines
 * probe each other. Each fails in its own way: an agent may hang or be cut off from the control plane while its machine
 * works; a ring may lose sight of a machine whose packets are dropped.
 *
 *   lease │ gossip  │
 *   ──────┼─────────┼──────────────────────────────────────────────────────────────────────────────
 *   kept  │ alive   │ ready
 *   kept  │ gone    │ ready, degraded: who keeps a lease works
 *   gone  │ alive   │ unreachable, after a moment in which an agent that was slow registers anew
 *   gone  │ gone    │ dead, at once: two ways of looking agree
 *   gone  │ unknown │ unreachable, then dead after a longer time: one signal alone is trusted less
 *
 * Where the control plane itself was away a moment ago (`grace`), silence proves nothing: nobody is declared dead.
 */
import type {NodeVerdict} from '@hivemind/contracts';

export interface Signals {
  /** ms since it was seen that the lease had lapsed; undefined: it is kept. */
  readonly silentMs: number | undefined;
  /** As most ready members see it; `unknown` where there is no ring, or it never heard of the machine. */
  readonly gossip: 'alive' | 'gone' | 'unknown';
  /** A person vouches that the machine is off. */
  readonly confirmedDead: boolean;
  /** The control plane may have missed its heartbeats. */
  readonly grace: boolean;
}

/** ms from the lapse of the lease on. */
export interface Patience {
  readonly unreachableAfterMs: number;
  readonly deadAfterMs: number;
}

export type Standing = Pick<NodeVerdict, 'state' | 'degraded' | 'reason' | 'message'>;

const heard: Standing = {state: 'ready', degraded: false, reason: 'Heard', message: ''};
const degraded: Standing = {state: 'ready', degraded: true, reason: 'GossipSilent', message: 'its agent is heard, but the other machines do not reach it'};
const unreachable: Standing = {state: 'unreachable', degraded: false, reason: 'LeaseLapsed', message: 'its agent was not heard for the length of its lease'};
const confirmed: Standing = {state: 'dead', degraded: false, reason: 'ConfirmedDead', message: 'a person has confirmed that it is off'};
const gone: Standing = {state: 'dead', degraded: false, reason: 'GossipSilent', message: 'its agent is not heard, and the other machines do not reach it'};
const silent: Standing = {state: 'dead', degraded: false, reason: 'NotHeard', message: 'its agent has not been heard for too long'};

export interface Judgement {
  readonly standing: Standing;
  /** ms until silence alone changes it. */
  readonly againInMs?: number;
}

/** @param before what was ruled last; a machine that nothing was ruled of counts as ready */
export function judge(before: Standing | undefined, {silentMs, gossip, confirmedDead, grace}: Signals, {unreachableAfterMs, deadAfterMs}: Patience): Judgement {
  if (silentMs === undefined) return {standing: gossip === 'gone' ? degraded : heard};
  if (confirmedDead) return {standing: confirmed};
  if (gossip === 'gone' && !grace) return {standing: gone};
  // Who was dead stays so until it is heard, or at least seen.
  if (before?.state === 'dead' && gossip !== 'alive') return {standing: before};
  if (silentMs < unreachableAfterMs) return {standing: before ?? heard, againInMs: unreachableAfterMs - silentMs};
  if (gossip !== 'unknown' || grace) return {standing: unreachable};
  if (silentMs < deadAfterMs) return {standing: unreachable, againInMs: deadAfterMs - silentMs};
  return {standing: silent};
}
