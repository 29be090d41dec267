/**
 * What names give. Made from the registry of services; answers are made when they are first asked for and kept until anything
 * changes. Pure.
 *
 * A name is sought as it stands (`web.shop.svc.hive`, a domain, a machine); then within the asker's namespace, which its address
 * tells (`web`); then among all namespaces (`web.shop`). What is found nowhere is not ours, unless it ends in `.hive`.
 */
import type {NameItem} from '../model.ts';
import {type Body, bodyOf} from './body.ts';
import {DOMAIN, NODES, replicaName, SERVICES, serviceName} from './names.ts';
import {type Entry, Registry, rotation} from './registry.ts';
import {addressData, encodeName, fitsWire, nameOfKey, QUESTION_POINTER, RCODE, record, TYPE} from './wire.ts';

/** Seconds that an answer may be kept. */
export const TTL = 5;
/** Seconds that it may be kept that there is none. */
export const NEGATIVE_TTL = 2;
/** Answers that are kept; past it they are made anew. */
const MOST_KEPT = 100_000;

export interface ZoneOptions {
  /** This machine: its containers are known by their addresses. */
  readonly node: string;
  /** Packets to a virtual IP are delivered here; else names give the containers' own addresses. */
  readonly virtualIps: boolean;
}

/** A name of a service. The least rank has it: 0 its own, 1 a domain, 2 an alias. */
interface Claim {
  readonly key: string;
  readonly rank: number;
}
/** Who has an address. */
interface Holder {
  readonly key: string;
  readonly name: string;
  /** Of a container on this machine: its namespace. */
  readonly asks?: string;
}

type Found =
  | {readonly kind: 'services'; readonly keys: readonly string[]}
  | {readonly kind: 'ports'; readonly keys: readonly string[]; readonly port: string; readonly protocol: string}
  | {readonly kind: 'address'; readonly address: string}
  | {readonly kind: 'pointer'; readonly names: readonly string[]}
  /** There are names below it alone, or none at all. */
  | {readonly kind: 'empty' | 'none'};

export class Zone {
  readonly options: ZoneOptions;
  readonly #registry = new Registry();
  readonly #claims = new Map<string, Claim[]>();
  readonly #holders = new Map<string, Holder[]>();
  /** What a service has in the two tables above, to take it back. */
  readonly #compiled = new Map<string, {readonly names: readonly string[]; readonly addresses: readonly string[]}>();
  readonly #namespaces = new Map<string, number>();
  readonly #kept = new Map<string, Body>();
  readonly #keptWithin = new Map<string, Map<string, Body>>();
  #serial = 0;

  constructor(options: ZoneOptions) {
    this.options = options;
  }

  get services(): number {
    return this.#compiled.size;
  }

  get serial(): number {
    return this.#serial;
  }

  /** What another zone is made of, with other options. */
  items(): Iterable<NameItem> {
    return this.#registry.items();
  }

  /** `serial`: of the SOA, any number that grows. */
  apply(items: readonly NameItem[], whole: boolean, serial: number): void {
    const touched = this.#registry.apply(items, whole);
    for (const key of touched.services) this.#compile(key);
    this.#serial = serial >>> 0;
    this.#kept.clear();
    this.#keptWithin.clear();
  }

  /** The namespace of a container of this machine; undefined: nobody that is known asks. */
  namespaceOf(address: string): string | undefined {
    return this.#holders.get(address)?.find(({asks}) => asks !== undefined)?.asks;
  }

  /** By a `QueryReader.key`; undefined: the name is not ours. `from`: the asker's address. */
  lookup(key: string, from: string): Body | undefined {
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const namespace = this.namespaceOf(from) ?? '';
    const within = this.#keptWithin.get(namespace);
    return within?.get(key) ?? this.#make(key, namespace);
  }

  #make(key: string, namespace: string): Body | undefined {
    const name = nameOfKey(key);
    if (name === undefined) return undefined;
    const type = (key.charCodeAt(key.length - 2) << 8) | key.charCodeAt(key.length - 1);
    const whole = this.#locate(name);
    if (whole) {
      const body = this.#bodyOf(whole, name, type);
      // What is not there may be asked for under any name.
      if (whole.kind !== 'none') keep(this.#kept, key, body);
      return body;
    }
    const found = (namespace === '' ? undefined : this.#locateThere(`${name}.${namespace}.${SERVICES}`)) ?? this.#locateThere(`${name}.${SERVICES}`);
    if (!found) return undefined;
    const body = this.#bodyOf(found, name, type);
    let within = this.#keptWithin.get(namespace);
    if (!within) this.#keptWithin.set(namespace, (within = new Map()));
    keep(within, key, body);
    return body;
  }

  #locateThere(name: string): Found | undefined {
    const found = this.#locate(name);
    return found?.kind === 'empty' || found?.kind === 'none' ? undefined : found;
  }

  /** undefined: not ours. */
  #locate(name: string): Found | undefined {
    const keys = this.#keysOf(name);
    if (keys) return {kind: 'services', keys};
    const own = name === DOMAIN || name.endsWith(`.${DOMAIN}`);
    const below = this.#locateBelow(name);
    if (below) return below;
    if (own) return this.#exists(name) ? {kind: 'empty'} : {kind: 'none'};
    const reverse = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
    const holders = reverse ? this.#holders.get(reverse.slice(1).toReversed().join('.')) : undefined;
    if (!holders) return undefined;
    const local = holders.filter(({asks}) => asks !== undefined);
    return {kind: 'pointer', names: (local.length > 0 ? local : holders).map(({name: held}) => held)};
  }

  /** A machine, one container of a service, or one of its ports. */
  #locateBelow(name: string): Found | undefined {
    const dot = name.indexOf('.');
    if (dot < 0) return undefined;
    const [first, rest] = [name.slice(0, dot), name.slice(dot + 1)];
    if (rest === NODES) {
      const address = this.#registry.nodes.get(first);
      return address === undefined ? undefined : {kind: 'address', address};
    }
    if (name.startsWith('_')) {
      const [, port = '', protocol = '', service = ''] = /^_([^.]+)\._(tcp|udp)\.(.+)$/.exec(name) ?? [];
      const keys = service === '' ? undefined : this.#keysOf(service);
      if (keys) return {kind: 'ports', keys, port, protocol};
      const parent = /^_(?:tcp|udp)\.(.+)$/.exec(name)?.[1];
      return parent !== undefined && this.#keysOf(parent) ? {kind: 'empty'} : undefined;
    }
    for (const key of this.#keysOf(rest) ?? []) {
      const endpoint = this.#registry.get(key)?.endpoints.get(first);
      // Ready or not: who asks for this very one means it.
      if (endpoint) return {kind: 'address', address: endpoint.address};
    }
    return undefined;
  }

  /** Whose name it is: of several with the same right, all of them. */
  #keysOf(name: string): readonly string[] | undefined {
    const claims = this.#claims.get(name);
    if (!claims) return undefined;
    const least = Math.min(...claims.map(({rank}) => rank));
    return claims.filter(({rank}) => rank === least).map(({key}) => key).sort();
  }

  #exists(name: string): boolean {
    if (name === DOMAIN || name === SERVICES || name === NODES) return true;
    return name.endsWith(`.${SERVICES}`) && this.#namespaces.has(name.slice(0, -SERVICES.length - 1));
  }

  #bodyOf(found: Found, name: string, type: number): Body {
    if (found.kind === 'none') return bodyOf({rcode: RCODE.NXDOMAIN, authorities: [this.#soa(name)]});
    if (name === DOMAIN && type === TYPE.SOA) return bodyOf({answers: [this.#soa(name)]});
    const addressType = type === TYPE.ANY ? TYPE.A : type;
    const nothing = (): Body => bodyOf({authorities: [this.#soa(name)]});
    if (found.kind === 'address') return addressesBody([found.address], addressType) ?? nothing();
    if (found.kind === 'pointer') return type === TYPE.PTR ? bodyOf({answers: found.names.map((one) => record(QUESTION_POINTER, TYPE.PTR, TTL, encodeName(one)))}) : nothing();
    if (found.kind === 'services') {
      if (type === TYPE.SRV) return this.#portsBody(found.keys, () => true) ?? nothing();
      return addressesBody(found.keys.flatMap((key) => this.#addressesOf(key)), addressType) ?? nothing();
    }
    if (found.kind === 'ports') {
      const {port, protocol} = found;
      const body = this.#portsBody(found.keys, (one) => one.protocol === protocol && (one.name === port || String(one.port) === port));
      // There is no such port, so there is no such name.
      return body === undefined ? bodyOf({rcode: RCODE.NXDOMAIN, authorities: [this.#soa(name)]}) : type === TYPE.SRV || type === TYPE.ANY ? body : nothing();
    }
    return nothing();
  }

  #virtualIp({facts}: Entry): string | undefined {
    return this.options.virtualIps && facts?.headless === false ? facts.virtualIp : undefined;
  }

  #addressesOf(key: string): readonly string[] {
    const entry = this.#registry.get(key);
    if (!entry) return [];
    const virtualIp = this.#virtualIp(entry);
    return virtualIp === undefined ? rotation(entry).map(({address}) => address) : [virtualIp];
  }

  /** SRV records of the ports asked for, with the addresses of who is named there; undefined: there are none. */
  #portsBody(keys: readonly string[], wanted: (port: {readonly name?: string | undefined; readonly port: number; readonly protocol: string}) => boolean): Body | undefined {
    const answers: Buffer[] = [];
    const additionals = new Map<string, Buffer>();
    const add = (target: string, address: string, weight: number, port: number): void => {
      if (!fitsWire(target)) return;
      const name = encodeName(target);
      const head = Buffer.alloc(6);
      head.writeUInt16BE(weight, 2);
      head.writeUInt16BE(port, 4);
      answers.push(record(QUESTION_POINTER, TYPE.SRV, TTL, Buffer.concat([head, name])));
      const found = addressData(address);
      if (found) additionals.set(target, record(name, found.type, TTL, found.data));
    };
    for (const key of keys) {
      const entry = this.#registry.get(key);
      if (!entry) continue;
      const virtualIp = this.#virtualIp(entry);
      if (virtualIp !== undefined) for (const port of entry.facts?.ports.filter(wanted) ?? []) add(serviceName(entry.namespace, entry.name), virtualIp, 100, port.port);
      else for (const {container, address, weight, ports} of rotation(entry)) for (const port of ports.filter(wanted)) add(replicaName(entry.namespace, entry.name, container), address, weight, port.port);
    }
    if (answers.length > 0) return bodyOf({answers, additionals: [...additionals.values()]});
    const known = keys.some((key) => this.#registry.get(key)?.facts?.ports.some(wanted));
    return known ? bodyOf({authorities: [this.#soa(DOMAIN)]}) : undefined;
  }

  /** Of our domain, or of a name outside it, which is then a zone of its own. */
  #soa(name: string): Buffer {
    const ours = name === DOMAIN || name.endsWith(`.${DOMAIN}`);
    const numbers = Buffer.alloc(20);
    for (const [index, number] of [this.#serial, 3_600, 600, 86_400, NEGATIVE_TTL].entries()) numbers.writeUInt32BE(number, index * 4);
    return record(ours ? encodeName(DOMAIN) : QUESTION_POINTER, TYPE.SOA, NEGATIVE_TTL, Buffer.concat([encodeName(`ns.${DOMAIN}`), encodeName(`hostmaster.${DOMAIN}`), numbers]));
  }

  /** Puts the names and addresses of a service into the tables, in place of what it had there. */
  #compile(key: string): void {
    const before = this.#compiled.get(key);
    for (const name of before?.names ?? []) take(this.#claims, name, key);
    for (const address of before?.addresses ?? []) take(this.#holders, address, key);
    if (before) this.#count(key, -1);
    this.#compiled.delete(key);
    const entry = this.#registry.get(key);
    if (!entry) return;
    const {namespace, name, facts, endpoints} = entry;
    const names = facts ? [
      {text: serviceName(namespace, name), rank: 0},
      ...(facts.domain === undefined ? [] : [{text: facts.domain, rank: 1}]),
      ...facts.aliases.filter((alias) => alias !== name).map((alias) => ({text: serviceName(namespace, alias), rank: 2})),
    ] : [];
    for (const {text, rank} of names) put(this.#claims, text, {key, rank});
    const held: string[] = [];
    if (facts?.virtualIp !== undefined) {
      put(this.#holders, facts.virtualIp, {key, name: serviceName(namespace, name)});
      held.push(facts.virtualIp);
    }
    for (const [container, {address, node}] of endpoints) {
      put(this.#holders, address, {key, name: replicaName(namespace, name, container), ...(node === this.options.node ? {asks: namespace} : {})});
      held.push(address);
    }
    this.#compiled.set(key, {names: names.map(({text}) => text), addresses: held});
    this.#count(key, 1);
  }

  #count(key: string, by: 1 | -1): void {
    const namespace = key.slice(0, key.indexOf('/'));
    const count = (this.#namespaces.get(namespace) ?? 0) + by;
    if (count > 0) this.#namespaces.set(namespace, count);
    else this.#namespaces.delete(namespace);
  }
}

/** undefined: none is of this type. */
function addressesBody(addresses: readonly string[], type: number): Body | undefined {
  const answers = [...new Set(addresses)].flatMap((address) => {
    const found = addressData(address);
    return found?.type === type ? [record(QUESTION_POINTER, type, TTL, found.data)] : [];
  });
  return answers.length === 0 ? undefined : bodyOf({answers, shuffle: true});
}

function keep(kept: Map<string, Body>, key: string, body: Body): void {
  if (kept.size >= MOST_KEPT) kept.clear();
  kept.set(key, body);
}

function put<T>(table: Map<string, T[]>, name: string, value: T): void {
  const there = table.get(name);
  if (there) there.push(value);
  else table.set(name, [value]);
}

function take<T extends {readonly key: string}>(table: Map<string, T[]>, name: string, key: string): void {
  const left = table.get(name)?.filter((one) => one.key !== key) ?? [];
  if (left.length > 0) table.set(name, left);
  else table.delete(name);
}
