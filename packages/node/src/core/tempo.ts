/**
 * How often machines are heard, and for how long they may be silent. The load is bounded rather than the interval: past
 * `heartbeatsPerSecond` of all machines together, lease and interval double, so that thousands of machines cost no more
 * than hundreds. Steps of two, so that a lease is rarely replaced as machines come and go.
 */
import {durationMs, type NodeSettings} from '@hivemind/contracts';

export interface Tempo {
  readonly leaseMs: number;
  readonly heartbeatMs: number;
}

/** Heartbeats in one lease: three may be lost. */
export const BEATS_A_LEASE = 4;

export function tempoOf(settings: Pick<NodeSettings, 'lease' | 'heartbeatsPerSecond'>, machines: number): Tempo {
  let leaseMs = durationMs(settings.lease);
  while ((machines * BEATS_A_LEASE * 1000) / leaseMs > settings.heartbeatsPerSecond) leaseMs *= 2;
  return {leaseMs, heartbeatMs: intervalOf(leaseMs)};
}

export function intervalOf(leaseMs: number): number {
  return Math.max(1, Math.floor(leaseMs / BEATS_A_LEASE));
}
