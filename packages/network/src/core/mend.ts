/**
 * From what should be and what is to one batch of commands; empty where all is as it should be. What goes with a device that is
 * made anew is seen to be missing at the next look, which follows at once. Pure.
 */
import type {Declared} from './declare.ts';
import {BRIDGE, type KernelState, type Link, ROUTE_PROTOCOL, type Route, VXLAN, WIREGUARD} from './kernel.ts';
import {isSetTo, type WireGuardSettings} from './wireguard.ts';

/** Lines for `ip -batch` and, after it, for `bridge -batch`. */
export interface Batch {
  /** Before both: the device is made anew, or keeps its state, and gets the settings. Absent: nothing of that. */
  readonly wireguard?: {readonly isMade: boolean; readonly settings: WireGuardSettings} | undefined;
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
}

/** Metric of a route that gives way to others. */
const LAST = 4096;

/** Written on the bridge: two clusters on one machine would undo each other's work. */
const ALIAS = 'hivemind:';
export const aliasOf = (owner: string): string => `${ALIAS}${owner}`;
/** Of a bridge that somebody else made, what they wrote on it. */
export const clusterOf = (alias: string): string => (alias.startsWith(ALIAS) ? alias.slice(ALIAS.length) : alias);

/** The cluster that the bridge is of, where it is another one than `owner`. */
export function otherOwner({links}: KernelState, owner: string): string | undefined {
  const alias = links.find(({name}) => name === BRIDGE)?.alias;
  return alias !== undefined && alias !== aliasOf(owner) ? alias : undefined;
}

/**
 * @param members interfaces known to belong to the bridge: they are put back into one that is new
 * @param owner the cluster
 * @param now ms since 1970
 */
export function mend(declared: Declared, kernel: KernelState, members: ReadonlySet<string>, owner: string, now: number): Batch {
  const {wireguard} = declared;
  const isRight = wireguard === undefined || (kernel.wireguard !== undefined && isSetTo(wireguard, kernel.wireguard, now));
  return {
    ...(isRight ? {} : {wireguard: {isMade: kernel.wireguard === undefined, settings: wireguard}}),
    ip: [...mendBridge(declared, kernel, owner), ...mendMembers(kernel, members), ...mendVxlan(declared, kernel), ...mendWireGuard(declared, kernel), ...mendNeighbours(declared, kernel), ...mendRoutes(declared, kernel)],
    bridge: mendForwarding(declared, kernel),
  };
}

/** All of it is to go. */
export function removal({links, routes}: KernelState): Batch {
  const devices = [VXLAN, WIREGUARD, BRIDGE].filter((name) => links.some((link) => link.name === name));
  return {ip: [...routes.map(withoutRoute), ...devices.map((name) => `link delete ${name}`)], bridge: []};
}

function mendBridge({bridge: {mac, address, prefix, mtu}}: Declared, {links}: KernelState, owner: string): string[] {
  const found = links.find(({name}) => name === BRIDGE);
  const wanted = [{address, prefix}];
  if (found === undefined) return [`link add ${BRIDGE} address ${mac} mtu ${mtu} type bridge`, `link set ${BRIDGE} alias ${aliasOf(owner)}`, ...mendAddresses(BRIDGE, wanted, []), `link set ${BRIDGE} up`];
  return [
    ...(found.mac === mac ? [] : [`link set ${BRIDGE} address ${mac}`]),
    ...(found.mtu === mtu ? [] : [`link set ${BRIDGE} mtu ${mtu}`]),
    ...(found.alias === aliasOf(owner) ? [] : [`link set ${BRIDGE} alias ${aliasOf(owner)}`]),
    ...mendAddresses(BRIDGE, wanted, found.addresses),
    ...(found.up ? [] : [`link set ${BRIDGE} up`]),
  ];
}

function mendMembers({links}: KernelState, members: ReadonlySet<string>): string[] {
  return links.filter(({name, master}) => members.has(name) && master === undefined).map(({name}) => `link set ${name} master ${BRIDGE}`);
}

function mendVxlan({vxlan}: Declared, {links}: KernelState): string[] {
  const found = links.find(({name}) => name === VXLAN);
  if (vxlan === undefined) return found === undefined ? [] : [`link delete ${VXLAN}`];
  const {mac, address, id, port, local, mtu} = vxlan;
  const wanted = [{address, prefix: 32}];
  // Which network it is, and between which addresses, cannot be changed while it is there.
  const isSame = found?.vxlan !== undefined && found.vxlan.id === id && found.vxlan.port === port && found.vxlan.local === local;
  if (found !== undefined && isSame) {
    return [
      ...(found.mac === mac ? [] : [`link set ${VXLAN} address ${mac}`]),
      ...(found.mtu === mtu ? [] : [`link set ${VXLAN} mtu ${mtu}`]),
      ...mendAddresses(VXLAN, wanted, found.addresses),
      ...(found.up ? [] : [`link set ${VXLAN} up`]),
    ];
  }
  return [
    ...(found === undefined ? [] : [`link delete ${VXLAN}`]),
    `link add ${VXLAN} address ${mac} mtu ${mtu} type vxlan id ${id} dstport ${port} local ${local} nolearning`,
    `link set ${VXLAN} addrgenmode none`,
    ...mendAddresses(VXLAN, wanted, []),
    `link set ${VXLAN} up`,
  ];
}

/** The device itself is made before: not each kernel can. */
function mendWireGuard({wireguard}: Declared, {links, wireguard: state}: KernelState): string[] {
  const found = links.find(({name}) => name === WIREGUARD);
  if (wireguard === undefined) return found === undefined ? [] : [`link delete ${WIREGUARD}`];
  // What does not answer as WireGuard is replaced.
  const {mtu, up, addresses} = state === undefined || found === undefined ? {mtu: 0, up: false, addresses: []} : found;
  return [
    ...(mtu === wireguard.mtu ? [] : [`link set ${WIREGUARD} mtu ${wireguard.mtu}`]),
    ...mendAddresses(WIREGUARD, [{address: wireguard.address, prefix: 32}], addresses),
    ...(up ? [] : [`link set ${WIREGUARD} up`]),
  ];
}

function mendAddresses(device: string, wanted: Link['addresses'], found: Link['addresses']): string[] {
  const text = ({address, prefix}: Link['addresses'][number]): string => `${address}/${prefix}`;
  const [has, wants] = [new Set(found.map(text)), new Set(wanted.map(text))];
  return [
    ...[...has].filter((one) => !wants.has(one)).map((one) => `addr del ${one} dev ${device}`),
    ...[...wants].filter((one) => !has.has(one)).map((one) => `addr add ${one} dev ${device}`),
  ];
}

function mendNeighbours({neighbours, vxlan}: Declared, kernel: KernelState): string[] {
  if (vxlan === undefined) return [];
  const has = new Map(kernel.neighbours.map(({address, mac}) => [address, mac]));
  const wanted = new Set(neighbours.map(({address}) => address));
  return [
    ...[...has.keys()].filter((address) => !wanted.has(address)).map((address) => `neigh del ${address} dev ${VXLAN}`),
    ...neighbours.filter(({address, mac}) => has.get(address) !== mac).map(({address, mac}) => `neigh replace ${address} lladdr ${mac} dev ${VXLAN} nud permanent`),
  ];
}

function mendForwarding({forwarding, vxlan}: Declared, kernel: KernelState): string[] {
  if (vxlan === undefined) return [];
  const has = kernel.forwarding;
  const wanted = new Map(forwarding.map(({mac, machine}) => [mac, machine]));
  return [
    ...has.filter(({mac, machine}) => wanted.get(mac) !== machine).map(({mac, machine}) => `fdb del ${mac} dev ${VXLAN} dst ${machine} self`),
    ...forwarding.filter(({mac, machine}) => !has.some((entry) => entry.mac === mac && entry.machine === machine)).map(({mac, machine}) => `fdb replace ${mac} dev ${VXLAN} dst ${machine} self permanent`),
  ];
}

function mendRoutes({routes}: Declared, kernel: KernelState): string[] {
  const wanted = new Map(routes.map((route) => [route.destination, route]));
  const isThere = (route: Route): boolean => {
    const want = wanted.get(route.destination);
    return want !== undefined && want.gateway === route.gateway && want.device === route.device && want.source === route.source && want.onLink === route.onLink;
  };
  const there = new Set(kernel.routes.filter(isThere).map(({destination}) => destination));
  return [
    ...kernel.routes.filter(({destination}) => !wanted.has(destination)).map(withoutRoute),
    ...routes.filter(({destination}) => !there.has(destination)).map(({destination, gateway, device, source, onLink}) =>
      // Whatever other network of the machine has that range, its own route comes first.
      `route replace ${device === '' ? 'unreachable ' : ''}${destination}${gateway === undefined ? '' : ` via ${gateway}`}${device === '' ? '' : ` dev ${device}`}${onLink ? ' onlink' : ''}${source === undefined ? '' : ` src ${source}`} proto ${ROUTE_PROTOCOL}${gateway === undefined ? ` metric ${LAST}` : ''}`),
  ];
}

function withoutRoute({destination}: Pick<Route, 'destination'>): string {
  return `route del ${destination} proto ${ROUTE_PROTOCOL}`;
}
