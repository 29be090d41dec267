/**
 * What the machine's kernel should have, from what the machine was told of the cluster.
 *
 * Intuition: each machine's VXLAN device has a hardware address that follows from its part of the addresses, so the others
 * know it without asking. A packet for another machine's part takes a route over that device to the part's first address,
 * whose hardware address is a static neighbour, which a static entry puts behind the machine. Nothing is learned or flooded.
 * With WireGuard the route leads over its device, which knows by the address of whom a packet is for, and encrypts it for them.
 */
import {type NetworkPeer, type NetworkSpec, type NetworkView, type PeerReach, WIREGUARD_PORT} from '@hivemind/contracts';
import {contains, formatAddress, gatewayOf, parseAddress, parseCidr, type Range, sizeOf} from './cidr.ts';
import {BRIDGE, type Link, VXLAN, WIREGUARD} from './kernel.ts';
import type {WireGuardSettings} from './wireguard.ts';

/** What VXLAN over IPv4 adds to a packet: Ethernet, IPv4, UDP and its own header. */
const VXLAN_OVERHEAD = 50;
/** What WireGuard adds, also where the packet between machines is one of IPv6. */
const WIREGUARD_OVERHEAD = 80;
const USUAL_MTU = 1500;

export interface DeclaredRoute {
  readonly destination: string;
  /** Absent: to the device itself. */
  readonly gateway: string | undefined;
  /** Empty: to nowhere, such packets are refused. */
  readonly device: string;
  readonly source: string | undefined;
  readonly onLink: boolean;
}

export interface Declared {
  readonly bridge: {readonly mac: string; readonly address: string; readonly prefix: number; readonly mtu: number};
  /** Absent where no machine is reached over it. */
  readonly vxlan: {readonly mac: string; readonly address: string; readonly id: number; readonly port: number; readonly local: string; readonly mtu: number} | undefined;
  /** As `vxlan`. */
  readonly wireguard: (WireGuardSettings & {readonly address: string; readonly mtu: number}) | undefined;
  readonly routes: readonly DeclaredRoute[];
  readonly neighbours: readonly {readonly address: string; readonly mac: string}[];
  readonly forwarding: readonly {readonly mac: string; readonly machine: string}[];
  /** How each other machine is reached; `none`: not at all, see `problems`. */
  readonly peers: readonly (NetworkPeer & {readonly via: PeerReach['via']})[];
  readonly problems: readonly string[];
}

/** @param links the machine's own, which say what is on a segment with it */
export function declare({spec, peers, virtualIps}: Pick<NetworkView, 'spec' | 'peers' | 'virtualIps'>, self: NetworkPeer, links: readonly Link[]): Declared {
  const subnet = rangeOf(self.subnet);
  const underlay = links.filter(({name}) => name !== BRIDGE && name !== VXLAN && name !== WIREGUARD);
  const own = underlay.find((link) => !self.address.startsWith('127.') && link.addresses.some(({address}) => address === self.address));
  const wire = spec.mtu ?? own?.mtu ?? USUAL_MTU;
  const mtu = wire - (spec.backend === 'direct' ? 0 : spec.backend === 'wireguard' ? WIREGUARD_OVERHEAD : VXLAN_OVERHEAD);
  const gateway = gatewayOf(subnet);
  const problems: string[] = [];
  const reached = peers.map((peer) => ({peer, ...wayTo(peer, spec, own, underlay, problems)}));
  const tunnelled = reached.filter(({via}) => via === 'vxlan').map(({peer}) => ({peer, address: formatAddress(rangeOf(peer.subnet).base)}));
  const port = spec.wireguard?.port ?? WIREGUARD_PORT;
  const encrypted = reached.flatMap(({peer: {address, subnet: range, wireguardKey}, via}) => (via === 'wireguard' && wireguardKey !== undefined ? [{key: wireguardKey, endpoint: `${address}:${port}`, range}] : []));
  return {
    bridge: {mac: macOf(subnet.base + 1), address: gateway, prefix: subnet.prefix, mtu},
    vxlan: tunnelled.length === 0 ? undefined : {mac: macOf(subnet.base), address: formatAddress(subnet.base), id: spec.vxlan.id, port: spec.vxlan.port, local: self.address, mtu: wire - VXLAN_OVERHEAD},
    wireguard: encrypted.length === 0 || self.wireguardKey === undefined ? undefined : {key: self.wireguardKey, port, peers: encrypted, address: formatAddress(subnet.base), mtu},
    // A packet of the machine's own is translated on its way out: without a route it would not set out, where there is no default one.
    // Not over the bridge, or containers whose packets are refused would be told (ICMP redirect) that the address is beside them.
    routes: [{destination: virtualIps, gateway: undefined, device: 'lo', source: gateway, onLink: false},
    // What should be encrypted goes no other way while the device is not there.
    ...(spec.backend === 'wireguard' ? [{destination: spec.cidr, gateway: undefined, device: '', source: undefined, onLink: false}] : []),
    ...reached.flatMap(({peer, via, device}): DeclaredRoute[] => {
      const destination = peer.subnet;
      if (via === 'vxlan' || via === 'wireguard') return [{destination, gateway: formatAddress(rangeOf(peer.subnet).base), device: via === 'vxlan' ? VXLAN : WIREGUARD, source: undefined, onLink: true}];
      // With an address of the containers' range, so that it is answered by the same way.
      return via === 'direct' && device !== undefined ? [{destination, gateway: peer.address, device, source: gateway, onLink: false}] : [];
    })],
    neighbours: tunnelled.map(({peer, address}) => ({address, mac: macOf(rangeOf(peer.subnet).base)})),
    forwarding: tunnelled.map(({peer}) => ({mac: macOf(rangeOf(peer.subnet).base), machine: peer.address})),
    peers: reached.map(({peer, via}) => ({...peer, via})),
    problems,
  };
}

interface Way {
  readonly via: PeerReach['via'];
  readonly device?: string;
}

function wayTo({node, address, wireguardKey}: NetworkPeer, {backend}: NetworkSpec, own: Link | undefined, underlay: readonly Link[], problems: string[]): Way {
  const value = parseAddress(address);
  if (value === undefined || address.startsWith('127.')) {
    problems.push(`node ${node} is known by ${address}, which is no IPv4 address that others reach: start its agent with --advertise`);
    return {via: 'none'};
  }
  if (own === undefined) {
    problems.push(`node ${node} cannot be reached from here: no interface of this machine has the address that it is known by; start its agent with --advertise`);
    return {via: 'none'};
  }
  if (backend === 'wireguard') {
    if (wireguardKey !== undefined) return {via: 'wireguard'};
    problems.push(`node ${node} has told no WireGuard key of its own: its agent is away, does not run as root, or is of an earlier release`);
    return {via: 'none'};
  }
  const device = backend === 'vxlan' ? undefined : underlay.find((link) => link.up && link.addresses.some((one) => sharesSegment(one, value)))?.name;
  if (device !== undefined) return {via: 'direct', device};
  if (backend !== 'direct') return {via: 'vxlan'};
  problems.push(`node ${node} (${address}) is on no segment with this machine: back-end direct does not reach it; use auto or vxlan`);
  return {via: 'none'};
}

function sharesSegment({address, prefix}: {readonly address: string; readonly prefix: number}, peer: number): boolean {
  const value = parseAddress(address);
  if (value === undefined || prefix >= 32 || value === peer) return false;
  return contains({base: value - (value % sizeOf(prefix)), prefix}, peer);
}

/** A locally administered address that holds the IP address, which nobody else has. */
function macOf(address: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256);
  return [0x0a, 0x58, ...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function rangeOf(cidr: string): Range {
  const range = parseCidr(cidr);
  if (range === undefined) throw new TypeError(`${cidr} is not a range`);
  return range;
}
