/** What the agent hands to the keeper of HAProxy, as a file of the machine. Read by hand, as the sidecar loads no schemas. */
import {createHash} from 'node:crypto';
import type {Server} from './slots.ts';

export interface ProxyPlan {
  /** Of what the control plane told. */
  readonly version: string;
  /** HAProxy's configuration, with the containers as they are now; empty: nothing is taken here. */
  readonly config: string;
  /** Another one takes a reload. */
  readonly structure: string;
  /** TCP ports of the machine that it listens at. */
  readonly ports: readonly number[];
  /** Who is in rotation, by `targetKey` of what rules lead to. */
  readonly servers: Readonly<Record<string, readonly Server[]>>;
  /** How many containers each backend has places for, by its name. */
  readonly places: Readonly<Record<string, number>>;
  /** Absolute paths of what the configuration names: others of the same folder may go. */
  readonly files: readonly string[];
  /** Why something of what was told is not in it; empty: all is. */
  readonly problem: string;
}

/** Nothing is taken here. */
export const NOTHING: ProxyPlan = {version: '', config: '', structure: '', ports: [], servers: {}, places: {}, files: [], problem: ''};

/** How it fares. */
export interface ProxyState {
  /** Of the plan that is in force; empty: none is. */
  readonly version: string;
  readonly running: boolean;
  /** Empty: all is well. */
  readonly problem: string;
}

const FORMAT = 2;

/** Of a data dir. */
export const PLAN_FILE = 'agent/ingress.json';

/**
 * Folder of the sockets of the HAProxy that has its files in `dir`, an absolute path. Root's are where another user finds its own
 * too, which it becomes and which cannot look into a data dir.
 */
export function socketsOf(dir: string, isRoot: boolean): string {
  return isRoot ? `/run/hivemind-ingress-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}` : dir;
}

export function planText(plan: ProxyPlan): string {
  return `${JSON.stringify({format: FORMAT, ...plan})}\n`;
}

/** undefined: that is none. */
export function readPlan(text: string): ProxyPlan | undefined {
  const {format, version, config, structure, ports, servers, places, files, problem} = fields(parsed(text));
  if (format !== FORMAT || !isText(version) || !isText(config) || !isText(structure) || !isListOf(ports, isCount) || !isListOf(files, isText) || !isText(problem)) return undefined;
  const led = recordOf(servers, (one): one is Server[] => isListOf(one, isServer));
  const counts = recordOf(places, isCount);
  return led && counts && {version, config, structure, ports, servers: led, places: counts, files, problem};
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

function isServer(value: unknown): value is Server {
  const {address, port, weight} = fields(value);
  return isText(address) && isCount(port) && isCount(weight);
}

/** undefined: one of them is none. */
function recordOf<T>(value: unknown, isOne: (one: unknown) => one is T): Readonly<Record<string, T>> | undefined {
  const known = Object.entries(fields(value)).flatMap(([name, one]) => (isOne(one) ? [[name, one] as const] : []));
  return known.length === Object.keys(fields(value)).length ? Object.fromEntries(known) : undefined;
}

function isListOf<T>(value: unknown, isOne: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(isOne);
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
