/**
 * Services to nftables: a virtual IP, or a port of the machine, becomes the address of one of its ready containers.
 *
 * Intuition: `frontends` says by address, protocol and port which chain chooses a slot, and `slots_tcp` by address, port and slot
 * which container that is. What has no entry there keeps its protocol and port: `any_port` and `slots_any` say the same by address
 * alone, over all containers. Chains are shared by all services with as many slots, so that a change of a service writes only
 * elements of its own: rules of their own for 10,000 services take the kernel half a minute to load, and a change of one rule
 * takes nft a list of all chains. Only the first packet of a connection comes here: those that are established go on as they
 * were.
 */
import type {Chain, Declaration, Ruleset} from '../nft/ruleset.ts';
import {hashOf} from '../nft/ruleset.ts';
import {slotsByHash, slotsInTurn} from './slots.ts';

export const TABLE = 'hivemind';

export type Balance = 'round-robin' | 'random' | 'weighted' | 'ip-hash';

export interface BalancedPort {
  readonly port: number;
  /** Of the container. */
  readonly targetPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** A port of machines themselves. */
export interface PublishedPort extends BalancedPort {
  /** IPv4 of the machine; any of its own when absent. */
  readonly address?: string | undefined;
}

/** A container in rotation. */
export interface BalancedEndpoint {
  readonly container: string;
  readonly node: string;
  /** IPv4. */
  readonly address: string;
  /** 0 takes nothing. */
  readonly weight: number;
  /** What it listens on: a container of an older revision may not have a port of the service. */
  readonly ports: readonly {readonly port: number; readonly protocol: 'tcp' | 'udp'}[];
}

export interface BalancedService {
  readonly namespace: string;
  readonly name: string;
  /** IPv4; absent where it is headless. */
  readonly virtualIp?: string | undefined;
  readonly ports: readonly BalancedPort[];
  readonly published?: readonly PublishedPort[] | undefined;
  /** Weights count with each of them; `round-robin` when absent. */
  readonly balance?: Balance | undefined;
  /** `client`: a client comes back to the same container for as long as that is in rotation. */
  readonly affinity?: 'none' | 'client' | undefined;
  readonly endpoints: readonly BalancedEndpoint[];
}

/** What the machine is, as far as rules speak of it. */
export interface BalanceMachine {
  readonly node: string;
  /** All containers of the cluster, as in `10.244.0.0/16`. */
  readonly containers: string;
  /** All virtual IPs: what is no service's is refused. */
  readonly virtualIps: readonly string[];
  /** The bridge with the machine's containers, and the device to other machines. */
  readonly bridge: string;
  readonly overlays: readonly string[];
}

export interface Element {
  readonly set: SetName;
  readonly key: string;
  /** Empty in a set. */
  readonly value: string;
}

/** Elements and chains of one service. No key is twice in a set. */
export interface CompiledService {
  readonly elements: readonly Element[];
  readonly chains: ReadonlyMap<string, Chain>;
}

/**
 * `addresses`: every virtual IP. `self`: containers of this machine, which may be led to themselves. Slots are apart by protocol:
 * nft takes a rule by its maps only where both speak of ports of one.
 */
export const sets = ['frontends', 'hosts', 'any_port', 'slots_tcp', 'slots_udp', 'hosts_tcp', 'hosts_udp', 'slots_any', 'addresses', 'self'] as const;
export type SetName = (typeof sets)[number];

/** Services with as many slots take turns together; two that are used in step would each be led to the same container always. */
const TURNS = 16;
/** Machines agree on the container of a client. */
const SEED = '0x68697665';

export function compileService(service: BalancedService, node: string): CompiledService {
  const elements: Element[] = [];
  const own = new Set<string>();
  const chains = new Map<string, Chain>();
  if (service.virtualIp !== undefined) elements.push({set: 'addresses', key: service.virtualIp, value: ''});
  for (const {front, key, slots, slotKey, among, to} of frontsOf(service)) {
    if (among.length === 0) continue;
    const {chosen, kind, number} = choose(service, among);
    const chain = `${slots}-${kind}`;
    elements.push({set: front, key, value: `goto ${chain}`});
    chosen.forEach((endpoint, slot) => elements.push({set: slots, key: `${slotKey} . ${slot}`, value: to(endpoint)}));
    chains.set(chain, {rules: [translation[slots](number)]});
    for (const endpoint of among) if (endpoint.node === node) own.add(endpoint.address);
  }
  for (const address of own) elements.push({set: 'self', key: `${address} . ${address}`, value: ''});
  return {elements, chains};
}

type SlotsName = 'slots_any' | `${'slots' | 'hosts'}_${'tcp' | 'udp'}`;

/** What leads somewhere: the entry that finds a chain, the slots that this chooses from, and whom they stand for. */
interface Front {
  readonly front: SetName;
  readonly key: string;
  readonly slots: SlotsName;
  readonly slotKey: string;
  readonly among: readonly BalancedEndpoint[];
  readonly to: (endpoint: BalancedEndpoint) => string;
}

function frontsOf({virtualIp, ports, published = [], endpoints: all}: BalancedService): readonly Front[] {
  const endpoints = all.filter(({weight}) => weight > 0);
  const portFront = ({address, port, targetPort, protocol}: PublishedPort): Front => {
    const among = endpoints.filter((endpoint) => endpoint.ports.some((one) => one.port === targetPort && one.protocol === protocol));
    const rest = {among, to: (endpoint: BalancedEndpoint) => `${endpoint.address} . ${targetPort}`};
    return address === undefined
      ? {front: 'hosts', key: `${protocol} . ${port}`, slots: `hosts_${protocol}`, slotKey: String(port), ...rest}
      : {front: 'frontends', key: `${address} . ${protocol} . ${port}`, slots: `slots_${protocol}`, slotKey: `${address} . ${port}`, ...rest};
  };
  const machines = published.map(portFront);
  if (virtualIp === undefined) return machines;
  const declared = ports.map((port) => ({port, front: portFront({...port, address: virtualIp})}))
    // Where it is the same for all of them, it is as with a port that nobody declares.
    .filter(({port, front}) => port.targetPort !== port.port || front.among.length < endpoints.length);
  return [{front: 'any_port', key: virtualIp, slots: 'slots_any', slotKey: virtualIp, among: endpoints, to: ({address}) => address}, ...declared.map(({front}) => front), ...machines];
}

const portTranslation = (protocol: 'tcp' | 'udp', by: 'slots' | 'hosts') => (number: string): string =>
  `meta l4proto ${protocol} dnat to ${by === 'slots' ? 'ip daddr . ' : ''}${protocol} dport . ${number} map @${by}_${protocol}`;
const translation: Readonly<Record<SlotsName, (number: string) => string>> = {
  slots_any: (number) => `dnat to ip daddr . ${number} map @slots_any`,
  slots_tcp: portTranslation('tcp', 'slots'),
  slots_udp: portTranslation('udp', 'slots'),
  hosts_tcp: portTranslation('tcp', 'hosts'),
  hosts_udp: portTranslation('udp', 'hosts'),
};

/** The table as it is without any service. */
export function frame({containers, virtualIps, bridge, overlays}: BalanceMachine): Omit<Ruleset, 'chains'> & {readonly chains: Map<string, Chain>} {
  const objects = new Map<string, Declaration>([
    ['containers', {kind: 'set', body: 'type ipv4_addr; flags interval;'}],
    ['virtual', {kind: 'set', body: 'type ipv4_addr; flags interval;'}],
    ['addresses', {kind: 'set', body: 'type ipv4_addr;'}],
    ['self', {kind: 'set', body: 'type ipv4_addr . ipv4_addr;'}],
    ['frontends', {kind: 'map', body: 'type ipv4_addr . inet_proto . inet_service : verdict;'}],
    ['hosts', {kind: 'map', body: 'type inet_proto . inet_service : verdict;'}],
    ['any_port', {kind: 'map', body: 'type ipv4_addr : verdict;'}],
    ['slots_any', {kind: 'map', body: 'typeof ip daddr . numgen inc mod 2 : ip daddr;'}],
    ...(['tcp', 'udp'] as const).flatMap((protocol): readonly [string, Declaration][] => [
      [`slots_${protocol}`, {kind: 'map', body: `typeof ip daddr . ${protocol} dport . numgen inc mod 2 : ip daddr . ${protocol} dport;`}],
      [`hosts_${protocol}`, {kind: 'map', body: `typeof ${protocol} dport . numgen inc mod 2 : ip daddr . ${protocol} dport;`}],
    ]),
  ]);
  // Before the engine's own rules, which publish ports at -100.
  const translate = {type: 'nat', priority: -105} as const;
  const refuse = {type: 'filter', priority: -10} as const;
  const refusals = ['ip daddr @virtual goto refuse', 'ip daddr @addresses goto refuse'];
  return {
    table: TABLE,
    objects,
    elements: new Map([['containers', new Map([[containers, '']])], ['virtual', new Map(virtualIps.map((range) => [range, '']))]]),
    chains: new Map<string, Chain>([
      ['translate', {rules: ['ip daddr . meta l4proto . th dport vmap @frontends', 'ip daddr vmap @any_port', 'fib daddr type local meta l4proto . th dport vmap @hosts']}],
      ['refuse', {rules: ['meta l4proto tcp reject with tcp reset', 'reject with icmp port-unreachable']}],
      ['prerouting', {hook: {...translate, hook: 'prerouting'}, rules: ['jump translate']}],
      ['output', {hook: {...translate, hook: 'output'}, rules: ['jump translate']}],
      ['postrouting', {hook: {type: 'nat', hook: 'postrouting', priority: 95}, rules: [
        // To itself: it would answer itself, past this machine.
        'ct status dnat ip saddr . ip daddr @self masquerade',
        // From the machine: by the address that its packets had for the virtual IP, or 127.0.0.1, no answer would come back.
        'ct status dnat ip daddr @containers fib saddr type local masquerade',
        // A published port, led to another machine, whose answer would go straight to the client.
        `ct status dnat ip daddr @containers ip saddr != @containers oifname != "${bridge}" masquerade`,
      ]}],
      // What was not translated has nobody to go to.
      ['forward', {hook: {...refuse, hook: 'forward'}, rules: refusals}],
      ['refuse_own', {hook: {...refuse, hook: 'output'}, rules: refusals}],
      // These devices route 127.0.0.0/8, so that answers find back to a local client; nobody else may use that.
      ['guard', {hook: {type: 'filter', hook: 'prerouting', priority: -300}, rules: [`iifname { ${[bridge, ...overlays].map((device) => `"${device}"`).join(', ')} } ip daddr 127.0.0.0/8 drop`]}],
    ]),
  };
}

/** @param among not empty. @returns whom each slot stands for, and how nft comes to a slot's number */
function choose({namespace, name, balance = 'round-robin', affinity = 'none'}: BalancedService, among: readonly BalancedEndpoint[]): {readonly chosen: readonly BalancedEndpoint[]; readonly kind: string; readonly number: string} {
  const candidates = among.map((endpoint) => ({...endpoint, id: endpoint.container})).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const byClient = balance === 'ip-hash' || affinity === 'client';
  const chosen = byClient ? slotsByHash(candidates) : slotsInTurn(candidates);
  const count = chosen.length;
  const [kind, number] =
    byClient ? [`hash-${count}`, `jhash ip saddr mod ${count} seed ${SEED}`]
    : balance === 'random' || count === 1 ? [`random-${count}`, `numgen random mod ${count}`]
    : [`turn-${count}-${hashOf(`${namespace}/${name}`) % TURNS}`, `numgen inc mod ${count}`];
  return {chosen, kind, number};
}
