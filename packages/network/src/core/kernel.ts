/** What the kernel has, as far as the network is concerned: read from what `ip -json -details` and `bridge -json` print. Pure. */
import * as z from 'zod';
import type {WireGuardState} from './wireguard.ts';

/** The containers' bridge, the devices to other machines, and the mark of our routes (rtproto). */
export const BRIDGE = 'hm0';
export const VXLAN = 'hm-vx';
export const WIREGUARD = 'hm-wg';
export const ROUTE_PROTOCOL = 244;

export interface Link {
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly up: boolean;
  readonly master: string | undefined;
  readonly kind: string | undefined;
  /** What whoever made it wrote on it. */
  readonly alias: string | undefined;
  readonly vxlan: {readonly id: number; readonly port: number; readonly local: string | undefined} | undefined;
  /** IPv4. */
  readonly addresses: readonly {readonly address: string; readonly prefix: number}[];
}

export interface Route {
  readonly destination: string;
  readonly gateway: string | undefined;
  /** Empty: to nowhere, such packets are refused. */
  readonly device: string;
  readonly source: string | undefined;
  readonly onLink: boolean;
}

export interface KernelState {
  readonly links: readonly Link[];
  /** Those with our mark. */
  readonly routes: readonly Route[];
  /** Of the VXLAN device, permanent ones. */
  readonly neighbours: readonly {readonly address: string; readonly mac: string}[];
  /** Of the VXLAN device: behind which machine a hardware address is. */
  readonly forwarding: readonly {readonly mac: string; readonly machine: string}[];
  /** What the WireGuard device is set to; absent where there is none that answers, and where it was not asked for. */
  readonly wireguard?: WireGuardState | undefined;
}

/** What `ip` is asked, a line each; a device that is missing prints nothing for its line. */
export const questions = [`addr show`, `route show table main proto ${ROUTE_PROTOCOL}`, `neigh show dev ${VXLAN} nud permanent`] as const;

const AddressLine = z.object({
  ifname: z.string(),
  mtu: z.number(),
  address: z.string().default(''),
  flags: z.array(z.string()).default([]),
  master: z.string().optional(),
  ifalias: z.string().optional(),
  linkinfo: z.object({info_kind: z.string().optional(), info_data: z.object({id: z.number().optional(), port: z.number().optional(), local: z.string().optional()}).optional()}).optional(),
  addr_info: z.array(z.object({family: z.string().optional(), local: z.string().optional(), prefixlen: z.number().optional()})).default([]),
});
const RouteLine = z.object({dst: z.string(), gateway: z.string().optional(), dev: z.string().default(''), prefsrc: z.string().optional(), flags: z.array(z.string()).default([])});
const NeighbourLine = z.object({dst: z.string(), lladdr: z.string().default('')});
const ForwardingLine = z.object({mac: z.string(), dst: z.string().optional(), flags: z.array(z.string()).default([]), state: z.string().default('')});

/** @param ip what the batch of {@link questions} printed; @param bridge what `bridge -json fdb show dev hm-vx` printed. @throws where that cannot be read */
export function parseKernel(ip: string, bridge: string): KernelState {
  const [addresses = '[]', routes = '[]', neighbours = '[]'] = ip.split('\n').filter((line) => line.startsWith('['));
  return {
    links: z.array(z.unknown()).parse(JSON.parse(addresses)).filter(isNotEmpty).map((line) => linkOf(AddressLine.parse(line))),
    routes: z.array(RouteLine).parse(JSON.parse(routes)).map(({dst, gateway, dev, prefsrc, flags}) => ({destination: dst.includes('/') ? dst : `${dst}/32`, gateway, device: dev, source: prefsrc, onLink: flags.includes('onlink')})),
    neighbours: z.array(NeighbourLine).parse(JSON.parse(neighbours)).map(({dst, lladdr}) => ({address: dst, mac: lladdr})),
    forwarding: z.array(ForwardingLine).parse(JSON.parse(bridge.trim() === '' ? '[]' : bridge)).flatMap(({mac, dst, state}) => (dst !== undefined && state === 'permanent' ? [{mac, machine: dst}] : [])),
  };
}

/** What a filter of `ip` leaves out, it prints as an empty object. */
function isNotEmpty(line: unknown): boolean {
  return line instanceof Object && Object.keys(line).length > 0;
}

function linkOf({ifname, mtu, address, flags, master, ifalias: alias, linkinfo, addr_info: addresses}: z.infer<typeof AddressLine>): Link {
  const {id, port, local} = linkinfo?.info_data ?? {};
  return {
    name: ifname, mtu, mac: address, up: flags.includes('UP'), master, kind: linkinfo?.info_kind, alias,
    vxlan: linkinfo?.info_kind === 'vxlan' && id !== undefined && port !== undefined ? {id, port, local} : undefined,
    addresses: addresses.flatMap(({family, local: own, prefixlen}) => (family === 'inet' && own !== undefined && prefixlen !== undefined ? [{address: own, prefix: prefixlen}] : [])),
  };
}
