/**
 * How well another machine is reached: of the last probes, how many were answered and how fast. Pure. A probe that may still be
 * answered counts neither way.
 */
import type {PeerReach} from '@hivemind/contracts';

/** Probes that count. */
const WINDOW = 20;
/** Without an answer for so long (ms) a probe is lost. */
const LOST_AFTER_MS = 1_000;

interface Probe {
  readonly sequence: number;
  /** Monotonic ms. */
  readonly at: number;
  readonly roundTrip?: number;
}

export type Reach = readonly Probe[];

export function sent(reach: Reach, sequence: number, at: number): Reach {
  return [...reach, {sequence, at}].slice(-WINDOW);
}

export function answered(reach: Reach, sequence: number, at: number): Reach {
  return reach.map((probe) => (probe.sequence === sequence && probe.roundTrip === undefined ? {...probe, roundTrip: at - probe.at} : probe));
}

/** @param now monotonic ms */
export function summary(reach: Reach, now: number): Pick<PeerReach, 'sent' | 'loss' | 'roundTrip'> {
  const settled = reach.filter(({roundTrip, at}) => roundTrip !== undefined || now - at >= LOST_AFTER_MS);
  const times = settled.flatMap(({roundTrip}) => (roundTrip === undefined || roundTrip >= LOST_AFTER_MS ? [] : [roundTrip * 1_000]));
  return {
    sent: settled.length,
    loss: settled.length === 0 ? null : (settled.length - times.length) / settled.length,
    roundTrip: times.length === 0 ? null : {least: Math.round(Math.min(...times)), mean: Math.round(times.reduce((sum, time) => sum + time, 0) / times.length), most: Math.round(Math.max(...times))},
  };
}

/** ms between two probes to one machine: all together at most 25 a second. */
export function intervalOf(peers: number): number {
  return Math.max(2_000, (peers / 25) * 1_000);
}

const MAGIC = 0x484d5031;
export const PROBE_BYTES = 16;

/** `HMP1`, what it is, and a number by which it is known again. */
export function encodeProbe(kind: 'probe' | 'answer', sequence: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(PROBE_BYTES));
  view.setUint32(0, MAGIC);
  view.setUint8(4, kind === 'probe' ? 1 : 2);
  view.setUint32(8, sequence);
  return new Uint8Array(view.buffer);
}

/** Undefined for what is none of ours. */
export function decodeProbe(bytes: Uint8Array): {readonly kind: 'probe' | 'answer'; readonly sequence: number} | undefined {
  if (bytes.length !== PROBE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint8(4);
  if (view.getUint32(0) !== MAGIC || (kind !== 1 && kind !== 2)) return undefined;
  return {kind: kind === 1 ? 'probe' : 'answer', sequence: view.getUint32(8)};
}
