/**
 * The brake: when many machines go at once, it is rather the network, or a mistake, than the machines, and moving all that
 * they ran would bury those that are left. Replacement then pauses until half of them are back, a while has passed, or a
 * person says so.
 */
import type {NodeBrake} from '@hivemind/contracts';

export interface MachineInSight {
  readonly name: string;
  /**
   * ms (monotonic) when it went; `before`: longer ago than this ruler remembers; `unproven`: it is silent, but so was the
   * control plane; undefined: it is there.
   */
  readonly goneAt: number | 'before' | 'unproven' | undefined;
}

export interface BrakeTimes {
  /** Share of the machines that may go within the window. */
  readonly share: number;
  readonly windowMs: number;
  readonly holdMs: number;
}

export interface BrakeInput extends BrakeTimes {
  readonly machines: readonly MachineInSight[];
  readonly brake: NodeBrake | undefined;
  /** When this ruler first saw the brake engaged, monotonic ms. */
  readonly engagedAt: number | undefined;
  /** Monotonic ms. */
  readonly now: number;
  /** RFC 3339. */
  readonly at: string;
}

export interface BrakeRuling {
  /** The record as it should be; undefined: as it is. */
  readonly brake?: NodeBrake;
  /** Monotonic ms: look again then. */
  readonly wakeAt?: number;
}

export function ruleBrake(input: BrakeInput): BrakeRuling {
  return input.brake?.engaged === true ? hold(input, input.brake) : watch(input);
}

function watch({machines, brake, now, at, share, windowMs}: BrakeInput): BrakeRuling {
  const away = new Set(machines.filter(({goneAt}) => goneAt !== undefined).map(({name}) => name));
  // A release covers those machines until they are back; whoever goes again after that counts again.
  const excused = new Set(brake?.released === true ? brake.nodes.filter((name) => away.has(name)) : []);
  const recent = machines.filter(({goneAt}) => typeof goneAt === 'number' && goneAt > now - windowMs);
  const total = machines.filter(({goneAt}) => goneAt === undefined || goneAt === 'unproven').length + recent.length;
  const fresh = recent.filter(({name}) => !excused.has(name));
  if (total >= 2 && fresh.length / total > share) {
    const nodes = fresh.map(({name}) => name).toSorted();
    return {brake: {engaged: true, nodes, message: `${nodes.length} of ${total} machines went within ${windowMs / 1000} s (${nodes.join(', ')}): nothing is put in the place of what they ran`, since: at, released: false}};
  }
  if (brake?.released === true && excused.size < brake.nodes.length) return {brake: {...brake, nodes: [...excused].toSorted(), released: excused.size > 0}};
  return {};
}

function hold({machines, engagedAt, now, at, holdMs}: BrakeInput, brake: NodeBrake): BrakeRuling {
  const away = new Set(machines.filter(({goneAt}) => goneAt !== undefined).map(({name}) => name));
  const nodes = [...new Set([...brake.nodes, ...machines.filter(({goneAt}) => typeof goneAt === 'number').map(({name}) => name)])].toSorted();
  const back = nodes.filter((name) => !away.has(name)).length;
  const ended = (message: string): BrakeRuling => ({brake: {engaged: false, nodes: [], message, since: at, released: false}});
  if (back * 2 >= nodes.length) return ended(`${back} of ${nodes.length} machines are back`);
  const endsAt = (engagedAt ?? now) + holdMs;
  if (now >= endsAt) return ended(`${holdMs / 1000} s have passed`);
  return {...(nodes.length > brake.nodes.length ? {brake: {...brake, nodes}} : {}), wakeAt: endsAt};
}
