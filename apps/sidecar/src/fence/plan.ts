/**
 * The fence: what must never run twice is stopped on a machine that hears nobody, also where its agent is dead, frozen or
 * hung. An agent that lives stops it by itself, politely; here the same moments are kept from outside. Pure.
 */

/** A container that runs and must not run on in isolation. */
export interface Guarded {
  /** The engine's id. */
  readonly id: string;
  /** Ours, for the log. */
  readonly name: string;
  readonly leaseMs: number;
  /** From the polite word to SIGKILL, ms. */
  readonly graceMs: number;
  /** The polite word. */
  readonly signal: string;
}

export interface FenceSituation {
  /** ms since the last heartbeat that was answered was sent. */
  readonly silentMs: number;
  /** The agent spoke lately: the polite word is its own to say. */
  readonly agentLives: boolean;
  readonly guarded: readonly Guarded[];
  /** Engine ids of those that have had the polite word in this silence. */
  readonly told: ReadonlySet<string>;
}

export interface FenceStep {
  readonly container: Guarded;
  readonly signal: string;
}

/** Looked at the engine so often (ms) while the machine hears nobody. */
export const LOOK_EVERY_MS = 1_000;
/**
 * A silence that is worth a look, ms: at rest, with heartbeats each 500 ms, the engine is never asked. A container whose lease
 * and grace are shorter than this is late by less than the margin that the control plane leaves for the engine.
 */
export const LOOK_AFTER_MS = 3_000;

/** What is to be done, and in how many ms to look again. */
export function planFence({silentMs, agentLives, guarded, told}: FenceSituation): {readonly steps: readonly FenceStep[]; readonly againInMs: number} {
  const steps = guarded.flatMap((container): readonly FenceStep[] => {
    if (silentMs >= container.leaseMs + container.graceMs) return [{container, signal: 'SIGKILL'}];
    if (silentMs >= container.leaseMs && !agentLives && !told.has(container.id)) return [{container, signal: container.signal}];
    return [];
  });
  const moments = guarded.flatMap(({leaseMs, graceMs}) => [leaseMs - silentMs, leaseMs + graceMs - silentMs]);
  return {steps, againInMs: Math.min(LOOK_EVERY_MS, ...moments.filter((ms) => ms > 0))};
}
