/**
 * What goes wrong, and when: drawn from a seed before anything starts, so that a run can be had again. Pure.
 *
 * No two faults have one target at a time: a machine whose power is off cannot lose its agent as well. That also keeps the
 * one promise that faults must keep: agent and sidecar of a machine never end together, unless its power does.
 */
import type {CutOffFrom} from '../member.ts';
import {type Random, seeded} from './random.ts';

export type Fault =
  | {readonly kind: 'kill-service' | 'freeze-service'; readonly service: string}
  | {readonly kind: 'kill-agent' | 'freeze-agent' | 'kill-sidecar' | 'freeze-sidecar' | 'power-off' | 'restart-engine' | 'fill-disk'; readonly node: string}
  | {readonly kind: 'cut-off'; readonly node: string; readonly from: CutOffFrom; readonly direction: 'both' | 'in' | 'out'}
  | {readonly kind: 'restart-bus' | 'restart-store'};

export interface ScheduledFault {
  /** ms from the start of the run. */
  readonly atMs: number;
  /** How long it lasts, ms. */
  readonly forMs: number;
  readonly fault: Fault;
}

export interface Setting {
  readonly nodes: readonly [string, ...string[]];
  /** Processes of the control side. */
  readonly services: readonly [string, ...string[]];
  /** Machines have a sidecar each. */
  readonly sidecars: boolean;
  /** The agents' disks are small enough to be filled. */
  readonly smallDisks: boolean;
}

/** Longest, ms; the shortest is a tenth. Long enough for a machine to be taken for dead, now and then. */
const LONGEST_MS: Readonly<Record<Fault['kind'], number>> = {
  'kill-service': 4_000, 'freeze-service': 8_000,
  'kill-agent': 10_000, 'freeze-agent': 10_000, 'kill-sidecar': 500, 'freeze-sidecar': 8_000,
  'power-off': 15_000, 'restart-engine': 3_000, 'fill-disk': 8_000,
  'cut-off': 15_000,
  'restart-bus': 5_000, 'restart-store': 5_000,
};
/** From the start of one fault to that of the next, ms. */
const GAP_MS = [500, 6_000] as const;

/** Faults in the order of their start; all have ended by `durationMs`. */
export function scheduleFaults(seed: number, durationMs: number, setting: Setting): readonly ScheduledFault[] {
  const random = seeded(seed);
  const busyUntil = new Map<string, number>();
  const scheduled: ScheduledFault[] = [];
  for (let atMs = random.between(...GAP_MS); atMs < durationMs; atMs += random.between(...GAP_MS)) {
    const fault = drawFault(random, setting);
    const longest = LONGEST_MS[fault.kind];
    const forMs = Math.min(random.between(Math.ceil(longest / 10), longest), durationMs - atMs);
    if ((busyUntil.get(targetOf(fault)) ?? 0) > atMs) continue;
    busyUntil.set(targetOf(fault), atMs + forMs);
    scheduled.push({atMs, forMs, fault});
  }
  return scheduled;
}

function drawFault(random: Random, {nodes, services, sidecars, smallDisks}: Setting): Fault {
  const kind = random.pick<Fault['kind']>([
    'kill-service', 'freeze-service', 'kill-agent', 'freeze-agent', 'power-off', 'restart-engine', 'cut-off', 'cut-off', 'restart-bus', 'restart-store',
    ...(sidecars ? ['kill-sidecar' as const, 'freeze-sidecar' as const] : []),
    ...(smallDisks ? ['fill-disk' as const] : []),
  ]);
  switch (kind) {
    case 'kill-service':
    case 'freeze-service':
      return {kind, service: random.pick(services)};
    case 'cut-off':
      return {kind, node: random.pick(nodes), from: random.pick(['bus', 'control', 'everything']), direction: random.pick(['both', 'in', 'out'])};
    case 'restart-bus':
    case 'restart-store':
      return {kind};
    default:
      return {kind, node: random.pick(nodes)};
  }
}

/** What it befalls. */
export function targetOf(fault: Fault): string {
  if ('node' in fault) return `machine ${fault.node}`;
  return 'service' in fault ? `service ${fault.service}` : fault.kind;
}

export function faultText({atMs, forMs, fault}: ScheduledFault): string {
  const what = fault.kind === 'cut-off' ? `${fault.from}, ${fault.direction}` : undefined;
  return `${(atMs / 1000).toFixed(1).padStart(6)} s  ${fault.kind} ${'node' in fault || 'service' in fault ? targetOf(fault) : ''}${what === undefined ? '' : ` (${what})`} for ${(forMs / 1000).toFixed(1)} s`.replace(/ {2}for/, ' for');
}
