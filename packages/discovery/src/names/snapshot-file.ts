/**
 * The names as a file of the machine: the agent writes it, and reads it when it starts without the control plane; the sidecar
 * reads it when it starts without the agent. One JSON value a line, the settings first. Read by hand, since the schemas of the
 * contracts take 10 MB; a test holds it to them.
 */
import {open, readFile, rename} from 'node:fs/promises';
import {setImmediate as turn} from 'node:timers/promises';
import type {EndpointFacts, NameItem, Point, ServiceFacts} from '../model.ts';

/** How the machine's names are answered. */
export interface NameSettings {
  /** This machine. */
  readonly node: string;
  /** `address:port` each; none: names are not answered here. */
  readonly listen: readonly string[];
  /** Packets to virtual IPs are delivered here. */
  readonly virtualIps: boolean;
}

export interface Snapshot extends NameSettings {
  /** undefined: nothing was told yet. */
  readonly at: Point | undefined;
  readonly items: readonly NameItem[];
  /** Kept by an earlier release, which left out facts that are of account by now: they are to be asked for, though nothing changed. */
  readonly lacks: boolean;
}

const FORMAT = 1;
/** Moves when items have more fields. 2: how a service is balanced, its ports of machines. */
const FACTS = 2;
/** As the contracts name them. */
const strategies = ['round-robin', 'random', 'weighted', 'ip-hash'] as const;

/** Of a data dir. */
export const SNAPSHOT_FILE = 'agent/names.ndjson';

/** Whole or not at all. Not synced: what a power cut takes is told again. */
export async function writeSnapshot(path: string, {node, listen, virtualIps, at, lacks}: Omit<Snapshot, 'items'>, items: Iterable<NameItem>): Promise<void> {
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(lines({format: FORMAT, ...(lacks ? {} : {facts: FACTS}), node, listen, virtualIps, ...(at === undefined ? {} : {at})}, items));
  }
  await rename(`${path}.new`, path);
}

/** Of some µs each. */
const LINES_AT_ONCE = 1_000;

/** In pieces, so that some megabytes of it hold nobody up. */
function* lines(head: object, items: Iterable<NameItem>): Generator<string> {
  let piece = `${JSON.stringify(head)}\n`;
  for (const item of items) {
    piece += `${JSON.stringify(item)}\n`;
    if (piece.length < 65_536) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

/** undefined: there is none that can be read. Lines of a later release that say nothing here are left out. */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  try {
    const [head = '', ...rest] = (await readFile(path, 'utf8')).split('\n');
    const settings = settingsOf(JSON.parse(head));
    if (!settings) return undefined;
    const items: NameItem[] = [];
    for (const [index, line] of rest.entries()) {
      const item = line === '' ? undefined : readItem(JSON.parse(line));
      if (item) items.push(item);
      // Others have their turn.
      if (index % LINES_AT_ONCE === 0) await turn();
    }
    return {...settings, items};
  } catch {
    return undefined;
  }
}

/** Where names are to be answered, as the file says without being read to its end; empty where there is none that can be read. */
export async function keptListen(path: string): Promise<readonly string[]> {
  try {
    await using file = await open(path, 'r');
    for await (const line of file.readLines({autoClose: false})) return settingsOf(JSON.parse(line))?.listen ?? [];
  } catch {
    // None, or not one of ours: the agent tells.
  }
  return [];
}

function settingsOf(value: unknown): Omit<Snapshot, 'items'> | undefined {
  const {format, facts, node, listen, virtualIps, at} = fields(value);
  if (format !== FORMAT || typeof node !== 'string' || !isList(listen, isText) || typeof virtualIps !== 'boolean') return undefined;
  const {epoch, n} = fields(at);
  return {node, listen, virtualIps, lacks: !(typeof facts === 'number' && facts >= FACTS), at: typeof epoch === 'string' && typeof n === 'number' ? {epoch, n} : undefined};
}

/** A list of items as JSON. @throws SyntaxError, TypeError where it is none */
export function readItems(json: string): readonly NameItem[] {
  const values: unknown = JSON.parse(json);
  if (!Array.isArray(values)) throw new TypeError('no list of names');
  return values.flatMap((value) => readItem(value) ?? []);
}

/** undefined: it is not of a kind that is known, or lacks what names are made of. */
export function readItem(item: unknown): NameItem | undefined {
  const {kind, key, value} = fields(item);
  if (typeof key !== 'string' || (kind !== 'service' && kind !== 'endpoint' && kind !== 'node')) return undefined;
  if (value === undefined) return {kind, key};
  if (kind === 'service') return withValue(kind, key, serviceOf(value));
  if (kind === 'endpoint') return withValue(kind, key, endpointOf(value));
  const {address} = fields(value);
  return typeof address === 'string' ? {kind, key, value: {address}} : undefined;
}

function withValue<K extends 'service' | 'endpoint', V>(kind: K, key: string, value: V | undefined): {kind: K; key: string; value: V} | undefined {
  return value === undefined ? undefined : {kind, key, value};
}

function serviceOf(value: unknown): ServiceFacts | undefined {
  const {headless, domain, aliases = [], ports, virtualIp, published, balancing, traffic = []} = fields(value);
  if (typeof headless !== 'boolean' || !isMaybeText(domain) || !isList(aliases, isText) || !isList(ports, isPort) || !isMaybeText(virtualIp) || (published !== undefined && !isList(published, isPublished)) || !isMaybeRecord(balancing) || !isList(traffic, isShare)) return undefined;
  return {headless, ...(domain === undefined ? {} : {domain}), aliases, ports, ...(virtualIp === undefined ? {} : {virtualIp}), ...(published === undefined ? {} : {published}), ...(balancing === undefined ? {} : {balancing: balancingOf(balancing)}), traffic};
}

function endpointOf(value: unknown): EndpointFacts | undefined {
  const {namespace, service, node, address, ports, revision, ready} = fields(value);
  if (!isText(namespace) || !isText(service) || !isText(node) || !isText(address) || !isList(ports, isPort) || typeof revision !== 'number' || typeof ready !== 'boolean') return undefined;
  return {namespace, service, node, address, ports, revision, ready};
}

/** What is not known of it counts as not asked for. */
function balancingOf(value: unknown): NonNullable<ServiceFacts['balancing']> {
  const {strategy, affinity} = fields(value);
  const known = strategies.find((one) => one === strategy);
  return {...(known === undefined ? {} : {strategy: known}), ...(affinity === 'client' ? {affinity} : {})};
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isMaybeRecord = (value: unknown): value is object | undefined => value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value));
const isMaybeText = (value: unknown): value is string | undefined => value === undefined || isText(value);

function isPort(value: unknown): value is ServiceFacts['ports'][number] {
  const {name, port, protocol} = fields(value);
  return isMaybeText(name) && typeof port === 'number' && (protocol === 'tcp' || protocol === 'udp');
}

function isPublished(value: unknown): value is NonNullable<ServiceFacts['published']>[number] {
  const {targetPort, address} = fields(value);
  return isPort(value) && typeof targetPort === 'number' && isMaybeText(address);
}

function isShare(value: unknown): value is ServiceFacts['traffic'][number] {
  const {revision, weight} = fields(value);
  return typeof revision === 'number' && typeof weight === 'number';
}

function isList<T>(value: unknown, isOne: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(isOne);
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
