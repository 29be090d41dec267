/** What the agent hands to the keeper of HAProxy, as a file of the machine. Read by hand, as the sidecar loads no schemas. */
import {type Server, type Slots, slotName} from './slots.ts';

export interface ProxyPlan {
  /** Of what the control plane told. */
  readonly version: string;
  /** HAProxy's configuration, with the containers as they are now; empty: nothing is taken here. */
  readonly config: string;
  /** Another one takes a reload. */
  readonly structure: string;
  /** TCP ports of the machine that it listens at. */
  readonly ports: readonly number[];
  /** By the backend's name. */
  readonly servers: Readonly<Record<string, Slots>>;
  /** Absolute paths of what the configuration names: others of the same folder may go. */
  readonly files: readonly string[];
  /** Why something of what was told is not in it; empty: all is. */
  readonly problem: string;
}

/** How it fares. */
export interface ProxyState {
  /** Of the plan that is in force; empty: none is. */
  readonly version: string;
  readonly running: boolean;
  /** Empty: all is well. */
  readonly problem: string;
}

const FORMAT = 1;

/** Of a data dir. */
export const PLAN_FILE = 'agent/ingress.json';

export function planText(plan: ProxyPlan): string {
  return `${JSON.stringify({format: FORMAT, ...plan})}\n`;
}

/** undefined: that is none. */
export function readPlan(text: string): ProxyPlan | undefined {
  const {format, version, config, structure, ports, servers, files, problem} = fields(parsed(text));
  if (format !== FORMAT || !isText(version) || !isText(config) || !isText(structure) || !isListOf(ports, isCount) || !isListOf(files, isText) || !isText(problem)) return undefined;
  const backends = Object.entries(fields(servers)).map(([name, slots]) => [name, isListOf(slots, isSlot) ? slots : undefined] as const);
  const known = backends.flatMap(([name, slots]) => (slots === undefined ? [] : [[name, slots] as const]));
  return known.length === backends.length ? {version, config, structure, ports, servers: Object.fromEntries(known), files, problem} : undefined;
}

// --- what runs, brought to the plan -------------------------------------------------------------------------------------

/** A place as HAProxy has it. */
export interface Standing {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Takes no new requests. */
  readonly resting: boolean;
}

/** By `backend/place`, of what `show servers state` answers. */
export function standings(answer: string): ReadonlyMap<string, Standing> {
  const lines = answer.split('\n');
  const names = lines.find((line) => line.startsWith('# be_id'))?.slice(2).split(' ') ?? [];
  const at = (words: readonly string[], name: string): string => words[names.indexOf(name)] ?? '';
  return new Map(lines.flatMap((line) => {
    const words = line.split(' ');
    if (line.startsWith('#') || words.length < names.length || names.length === 0) return [];
    const standing = {address: at(words, 'srv_addr'), port: Number(at(words, 'srv_port')), weight: Number(at(words, 'srv_uweight')), resting: (Number(at(words, 'srv_admin_state')) & MAINTENANCE) !== 0};
    return [[`${at(words, 'be_name')}/${at(words, 'srv_name')}`, standing] as const];
  }));
}

/** Bits of srv_admin_state: put to rest by hand, or by the configuration. */
const MAINTENANCE = 0x01 | 0x04;

/** Commands of HAProxy's socket that make of what stands what is wanted; undefined: a place is missing, so it takes a reload. */
export function commandsFor(servers: ProxyPlan['servers'], standing: ReadonlyMap<string, Standing>): readonly string[] | undefined {
  const commands: string[] = [];
  for (const [backend, slots] of Object.entries(servers)) {
    for (const [index, slot] of slots.entries()) {
      const name = `${backend}/${slotName(index)}`;
      const now = standing.get(name);
      if (now === undefined) return undefined;
      commands.push(...commandsOf(name, slot, now));
    }
  }
  return commands;
}

/**
 * Commands that put to rest who is in no place of the plan: for what runs by another configuration, where the places themselves are
 * not the plan's.
 */
export function departures(servers: ProxyPlan['servers'], standing: ReadonlyMap<string, Standing>): readonly string[] {
  const staying = new Set(Object.values(servers).flat().flatMap((slot) => (slot === null ? [] : [`${slot.address}:${slot.port}`])));
  return [...standing].flatMap(([name, {address, port, resting}]) => (resting || staying.has(`${address}:${port}`) ? [] : [`set server ${name} state maint`]));
}

function commandsOf(name: string, slot: Server | null, {address, port, weight, resting}: Standing): readonly string[] {
  const set = (what: string): string => `set server ${name} ${what}`;
  if (slot === null) return resting ? [] : [set('state maint')];
  const moved = address !== slot.address || port !== slot.port;
  return [
    // Between two containers it belongs to neither.
    ...(moved && !resting ? [set('state maint')] : []),
    ...(moved ? [set(`addr ${slot.address} port ${slot.port}`)] : []),
    ...(weight === slot.weight ? [] : [set(`weight ${slot.weight}`)]),
    ...(moved || resting ? [set('state ready')] : []),
  ];
}

// --- reading ------------------------------------------------------------------------------------------------------------

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => typeof value === 'number';

function isSlot(value: unknown): value is Server | null {
  const {container, address, port, weight} = fields(value);
  return value === null || (isText(container) && isText(address) && isCount(port) && isCount(weight));
}

function isListOf<T>(value: unknown, isOne: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(isOne);
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
