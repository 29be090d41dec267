/**
 * Who has which part of the cluster's addresses. Each function takes what is stored and answers what should be; the very same
 * record where nothing changes. Two machines never have one part: it is one record, written only over the version that was read.
 */
import type {NetworkSpec, SubnetsRecord} from '@hivemind/contracts';
import {contains, formatCidr, overlaps, parseAddress, parseCidr, partAt, partsOf, type Range} from './cidr.ts';

export const noSubnets: SubnetsRecord = {family: 'ipv4', leases: {}};

/** Of what is no machine's or container's: this host, link-local, multicast and what is beyond. */
const RESERVED = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'];

export interface LeaseRequest {
  readonly node: string;
  readonly spec: Pick<NetworkSpec, 'cidr' | 'nodePrefix'>;
  /** The part that the machine has had: after a store was lost it gets that again, if nobody else has it. */
  readonly holds?: string | undefined;
  /** RFC 3339. */
  readonly now: string;
}

/** With a part for the machine; undefined where none is left. */
export function withLease(record: SubnetsRecord, {node, spec, holds, now}: LeaseRequest): SubnetsRecord | undefined {
  const range = rangeOf(spec);
  const held = record.leases[node];
  if (held !== undefined && fits(held.cidr, range, spec.nodePrefix)) return record;
  const others = Object.entries(record.leases).flatMap(([name, {cidr}]) => (name === node ? [] : [parsed(cidr)]));
  const free = (part: Range): boolean => !others.some((other) => overlaps(other, part));
  const wanted = holds !== undefined && fits(holds, range, spec.nodePrefix) && free(parsed(holds)) ? parsed(holds) : nextFree(record, spec, range, free);
  if (wanted === undefined) return undefined;
  const cidr = formatCidr(wanted);
  return {...record, leases: {...record.leases, [node]: {cidr, since: now}}, last: cidr};
}

/** With the machine's public key; not where it is another's already: who sends on could not tell the two apart. */
export function withKey(record: SubnetsRecord, node: string, key: string | undefined): SubnetsRecord {
  const keys = record.wireguardKeys ?? {};
  if (key === undefined || keys[node] === key || Object.values(keys).includes(key)) return record;
  return {...record, wireguardKeys: {...keys, [node]: key}};
}

/** Without those of machines that are gone. */
export function withoutGone(record: SubnetsRecord, nodes: ReadonlySet<string>): SubnetsRecord {
  const kept = Object.entries(record.leases).filter(([node]) => nodes.has(node));
  const keys = Object.entries(record.wireguardKeys ?? {});
  const keptKeys = keys.filter(([node]) => nodes.has(node));
  if (kept.length === Object.keys(record.leases).length && keptKeys.length === keys.length) return record;
  return {...record, leases: Object.fromEntries(kept), ...(record.wireguardKeys === undefined ? {} : {wireguardKeys: Object.fromEntries(keptKeys)})};
}

/** Why the range cannot be the containers'; undefined where it can. `machines`: addresses of machines, as far as they are IPv4. `virtualIps`: the range of services. */
export function unusable({cidr, nodePrefix}: Pick<NetworkSpec, 'cidr' | 'nodePrefix'>, machines: readonly {readonly node: string; readonly address: string}[], virtualIps: string): string | undefined {
  const range = parseCidr(cidr);
  if (range === undefined) return `${cidr} is not a range: it has bits past its prefix.`;
  if (range.prefix < 8) return `${cidr} is too large: a prefix of 8 or longer leaves room for other networks.`;
  if (partsOf(range, nodePrefix) < 1) return `${cidr} is smaller than one machine's part, a /${nodePrefix}.`;
  const reserved = RESERVED.find((other) => overlaps(parsed(other), range));
  if (reserved !== undefined) return `${cidr} overlaps ${reserved}, which is reserved.`;
  if (overlaps(parsed(virtualIps), range)) return `${cidr} overlaps ${virtualIps}, which is for virtual IPs of services (PATCH /discovery/settings).`;
  const inside = machineWithin(range, machines);
  return inside === undefined ? undefined : `${cidr} holds the address of the machine ${inside.node}, ${inside.address}.`;
}

/** Why virtual IPs cannot be delivered, for the addresses of machines; undefined where they can. */
export function unreachable(virtualIps: string, machines: readonly {readonly node: string; readonly address: string}[]): string | undefined {
  const inside = machineWithin(parsed(virtualIps), machines);
  return inside === undefined ? undefined : `${virtualIps}, the range of virtual IPs, holds the address of the machine ${inside.node}, ${inside.address}: set another one first (PATCH /discovery/settings).`;
}

function machineWithin<T extends {readonly address: string}>(range: Range, machines: readonly T[]): T | undefined {
  return machines.find(({address}) => {
    const value = parseAddress(address);
    return value !== undefined && contains(range, value);
  });
}

/** Machines whose part is not one of the range: they would have to give up addresses that containers have. */
export function outside(record: SubnetsRecord, spec: Pick<NetworkSpec, 'cidr' | 'nodePrefix'>): readonly string[] {
  const range = rangeOf(spec);
  return Object.entries(record.leases).flatMap(([node, {cidr}]) => (fits(cidr, range, spec.nodePrefix) ? [] : [node]));
}

export function capacityOf(spec: Pick<NetworkSpec, 'cidr' | 'nodePrefix'>): number {
  return partsOf(rangeOf(spec), spec.nodePrefix);
}

/** From the one after the last that was given, round to it. */
function nextFree({last}: SubnetsRecord, {nodePrefix}: Pick<NetworkSpec, 'nodePrefix'>, range: Range, free: (part: Range) => boolean): Range | undefined {
  const total = partsOf(range, nodePrefix);
  const from = last !== undefined && fits(last, range, nodePrefix) ? Math.round((parsed(last).base - range.base) / 2 ** (32 - nodePrefix)) + 1 : 0;
  for (let step = 0; step < total; step++) {
    const part = partAt(range, nodePrefix, (from + step) % total);
    if (free(part)) return part;
  }
  return undefined;
}

function fits(cidr: string, range: Range, nodePrefix: number): boolean {
  const part = parseCidr(cidr);
  return part !== undefined && part.prefix === nodePrefix && contains(range, part);
}

function rangeOf({cidr}: Pick<NetworkSpec, 'cidr'>): Range {
  return parsed(cidr);
}

/** Of what was checked when it was written. */
function parsed(cidr: string): Range {
  const range = parseCidr(cidr);
  if (range === undefined) throw new TypeError(`${cidr} is not a range`);
  return range;
}
