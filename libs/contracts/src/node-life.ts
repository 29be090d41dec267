/**
 * How machines fare: what the node manager has ruled of each, the brake on replacement, and what both mean to what runs
 * there. The rulings are made in one place and written down; everyone else reads them.
 */
import * as z from 'zod';
import type {Constraint, Toleration} from './app-spec.ts';
import type {ContainerStatus} from './container.ts';
import type {NodeRecord, Taint} from './node.ts';
import {Duration, durationMs} from './quantity.ts';

/**
 * Collection `node-verdicts`, key: name. Absent: nothing was ruled yet, and the machine counts as ready. Owner: node.
 * `unreachable`: its lease has lapsed, but the machine may live. `dead`: what ran there may be put elsewhere.
 */
export const NodeVerdict = z.object({
  name: z.string(),
  state: z.enum(['ready', 'unreachable', 'dead']),
  /** Its lease is kept, though the other members of the ring say that it is gone. */
  degraded: z.boolean().default(false),
  /** One CamelCase word: Heard, LeaseLapsed, GossipSilent, NotHeard, ConfirmedDead. */
  reason: z.string(),
  message: z.string(),
  /** When the state began. RFC 3339. */
  since: z.string(),
  /** A person vouched that the machine is off, for sessions up to this one (`fence`). */
  confirmedDead: z.number().int().optional(),
});
export type NodeVerdict = z.infer<typeof NodeVerdict>;

/**
 * How a machine fares, in every answer alike: as was ruled; before the first ruling it is ready once it has registered.
 * @param registered it has reported at least once
 */
export function nodeState(verdict: Pick<NodeVerdict, 'state'> | undefined, registered: boolean): NodeVerdict['state'] {
  return verdict?.state ?? (registered ? 'ready' : 'unreachable');
}

/** Collection `node-brake`, key: `brake`. While it is engaged nothing is put in the place of what is on a dead machine. Owner: node. */
export const NodeBrake = z.object({
  engaged: z.boolean(),
  /** The machines that went, as many as until now. */
  nodes: z.array(z.string()),
  message: z.string(),
  /** RFC 3339. */
  since: z.string(),
  /** Released by a person: for these machines it is not engaged again. */
  released: z.boolean().default(false),
});
export type NodeBrake = z.infer<typeof NodeBrake>;
export const BRAKE_KEY = 'brake';

/** Collection `node-settings`, key: `settings`. How soon a machine is missed. Owner: node. */
export const NodeSettings = z.strictObject({
  /** A machine that is not heard for so long loses its session. Four heartbeats; longer where `heartbeatsPerSecond` asks for it. */
  lease: Duration.default('2s'),
  /** Most heartbeats a second of all machines together: past it, lease and interval grow with their number. */
  heartbeatsPerSecond: z.number().int().min(1).max(100_000).default(250),
  /** From the lapse of its lease on, until a machine that is not known to be gone counts as unreachable. */
  unreachableAfter: Duration.default('1s'),
  /** From the lapse of its lease on, until a machine that gossip knows nothing of counts as dead. */
  deadAfter: Duration.default('4s'),
  /** After the control plane itself was away, no machine is declared dead for so long. */
  grace: Duration.default('15s'),
  brake: z.strictObject({
    /** Share of the machines that may go within `window` before replacement pauses. */
    share: z.number().gt(0).max(1).default(1 / 3),
    window: Duration.default('1m'),
    /** It ends after so long, whoever is back. */
    hold: Duration.default('5m'),
  }).prefault({}),
});
export type NodeSettings = z.infer<typeof NodeSettings>;
export const SETTINGS_KEY = 'settings';

/** Whether a taint keeps a container away that has these tolerations. A toleration without value or effect takes any; key `*` takes all. */
export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({key, value, effect}) => (key === '*' || key === taint.key) && (value === undefined || value === taint.value) && (effect === undefined || effect === taint.effect));
}

/** Why a label does not satisfy a constraint, in words; undefined when it does. */
export function unmetConstraint(labels: Readonly<Record<string, string>>, constraint: Omit<Constraint, 'exists' | 'missing'> & {readonly exists?: boolean | undefined; readonly missing?: boolean | undefined}): string | undefined {
  const {label} = constraint;
  const value = labels[label];
  const has = value === undefined ? `has no label ${label}` : `has ${label}=${value}`;
  if (constraint.in !== undefined && (value === undefined || !constraint.in.includes(value))) return `${has}, asked is one of ${constraint.in.join(', ')}`;
  if (constraint.notIn !== undefined && value !== undefined && constraint.notIn.includes(value)) return `${has}, which is excluded`;
  if (constraint.exists === true && value === undefined) return has;
  if (constraint.missing === true && value !== undefined) return `${has}, asked is none`;
  const number = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  if (constraint.gt !== undefined && !(number > constraint.gt)) return `${has}, asked is more than ${constraint.gt}`;
  if (constraint.lt !== undefined && !(number < constraint.lt)) return `${has}, asked is less than ${constraint.lt}`;
  return undefined;
}

export interface GlobalAppPlacement {
  readonly nodes?: readonly string[] | undefined;
  readonly constraints?: readonly Constraint[] | undefined;
  readonly tolerations?: readonly Toleration[] | undefined;
}

/**
 * Whether an app with one container a machine has one here. `keep`: the one that is there stays, none is added (cordoned,
 * draining, tainted NoSchedule, not reached or dead: it would find its own place again). A drain leaves such containers: they
 * serve the machine, to its end.
 */
export function globalOn(node: Pick<NodeRecord, 'name' | 'labels' | 'spec'>, verdict: NodeVerdict['state'], placement: GlobalAppPlacement): 'yes' | 'keep' | 'no' {
  const {nodes = [], constraints = [], tolerations = []} = placement;
  if (node.spec.maintenance === true) return 'no';
  if (nodes.length > 0 && !nodes.includes(node.name)) return 'no';
  if (constraints.some((constraint) => unmetConstraint(node.labels, constraint) !== undefined)) return 'no';
  const untolerated = node.spec.taints.filter((taint) => !tolerates(tolerations, taint));
  if (untolerated.some(({effect}) => effect === 'NoExecute')) return 'no';
  const closed = node.spec.unschedulable || node.spec.drain !== undefined || verdict !== 'ready' || untolerated.some(({effect}) => effect === 'NoSchedule');
  return closed ? 'keep' : 'yes';
}

/** Phases of a container that somebody has to be there for. */
const alive: ReadonlySet<ContainerStatus['phase']> = new Set(['pending', 'pulling', 'creating', 'starting', 'running', 'stopping']);

/**
 * What may be said of a container whose machine is not heard: it may run on, but it is out of rotation.
 * @param volume one of its volumes whose data is on that machine: it waits for it (law 11)
 */
export function statusUnder(verdict: NodeVerdict | undefined, status: ContainerStatus, volume?: string): ContainerStatus {
  if (verdict === undefined || verdict.state === 'ready' || !alive.has(status.phase)) return status;
  const dead = verdict.state === 'dead';
  if (dead && volume !== undefined) return {...status, phase: 'pending', ready: false, reason: 'VolumeOnDeadNode', message: `the data of volume ${volume} is on ${verdict.name}, which is dead: it waits for it, or until somebody gives the data up (hivemind volume abandon ${volume})`};
  return {...status, phase: 'lost', ready: false, reason: dead ? 'NodeDead' : 'NodeUnreachable', message: `its machine ${verdict.name} ${dead ? 'is dead' : 'is not reached'}: ${verdict.message}`};
}

/** How a container that must never run twice is guarded; undefined: two at a time are no harm. */
export function fencingOf({singleton, fencing}: {readonly singleton?: boolean | undefined; readonly fencing?: {readonly lease?: string | undefined; readonly onIsolation?: 'stop' | 'keep' | undefined} | undefined}): {readonly leaseMs: number; readonly onIsolation: 'stop' | 'keep'} | undefined {
  if (singleton !== true && fencing === undefined) return undefined;
  return {leaseMs: durationMs(fencing?.lease ?? '30s'), onIsolation: fencing?.onIsolation ?? 'stop'};
}

/** Clocks of two machines run alike within this share of the time. */
const CLOCK_DRIFT = 0.01;
/** For the engine of a machine that is cut off to do as its watchdog says, ms. */
const ENGINE_MARGIN_MS = 2_000;

/**
 * How long a machine must have been silent until a copy on it that stops itself has stopped, by the clocks of both sides.
 * The copy's watchdog counts from when the last heartbeat that was answered was *sent*, stops it after `leaseMs`, and kills
 * it `graceMs` later. Who asks counts from a moment after that heartbeat was answered, so this is never too short.
 */
export function stoppedAfterMs(leaseMs: number, graceMs: number): number {
  return Math.ceil((leaseMs + graceMs) * (1 + CLOCK_DRIFT)) + ENGINE_MARGIN_MS;
}
