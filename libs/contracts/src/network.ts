/** Addresses of containers, and how machines carry packets between them. */
import * as z from 'zod';
import {DiscoverySettings} from './discovery.ts';
import {resource, resourceBody, StoredMeta} from './meta.ts';
import {Annotations, Labels} from './names.ts';
import {defineMessage, defineRequest} from './subject.ts';

/** `10.244.0.0/16`; bits past the prefix are refused by who reads it. */
const Cidr = z.cidrv4('is not a range of IPv4 addresses: write it as in 10.244.0.0/16');

/**
 * How packets go from machine to machine. `none`: not at all, containers are on networks of the engine's own. `direct`: by plain
 * routes, for machines that share a segment. `vxlan`: in UDP. `auto`: direct to those on the same segment, else in UDP. `wireguard`: in
 * UDP, encrypted from machine to machine.
 */
export const networkBackends = ['auto', 'vxlan', 'direct', 'none', 'wireguard'] as const;
/** UDP, where nothing else is said. */
export const WIREGUARD_PORT = 51_820;
export const NetworkSpec = z.strictObject({
  backend: z.enum(networkBackends, `is not a back-end: use one of ${networkBackends.join(', ')}`).default('auto'),
  /** All containers' addresses. Each machine has a part of it. */
  cidr: Cidr.default('10.244.0.0/16'),
  /** Length of the prefix of a machine's part. */
  nodePrefix: z.number().int().min(16).max(28).default(24),
  /** Most bytes of a packet between machines, headers of the back-end included; what the machine's own interface takes when absent. */
  mtu: z.number().int().min(576).max(65_535).optional(),
  vxlan: z.strictObject({
    id: z.number().int().min(1).max(16_777_215).default(244),
    /** UDP. */
    port: z.number().int().min(1).max(65_535).default(8472),
  }).prefault({}),
  /** UDP; {@link WIREGUARD_PORT} when absent, which a machine of an earlier release reads, too. */
  wireguard: z.strictObject({port: z.number().int().min(1).max(65_535)}).optional(),
});
export type NetworkSpec = z.infer<typeof NetworkSpec>;
/** Whether containers have addresses that every machine reaches, and machines lead published ports to them; else that is the engines' own. Undefined: nothing was set. */
export function carries(spec: Pick<NetworkSpec, 'backend'> | undefined): boolean {
  return spec !== undefined && spec.backend !== 'none';
}
/** There is one, and it has this name. */
export const CLUSTER_NETWORK = 'cluster';

/** Collection `networks`, key: name. Absent: as with back-end `none`, nobody has decided yet. Owner: network. */
export const NetworkRecord = z.object({
  name: z.string(), labels: Labels, annotations: Annotations, spec: NetworkSpec, meta: StoredMeta,
  /** Why the cluster began with `none` though nobody asked for that: its first machine can have no network. */
  because: z.string().optional(),
});
export type NetworkRecord = z.infer<typeof NetworkRecord>;
export const NetworkBody = resourceBody('Network', NetworkSpec.prefault({}));
/** Who has which addresses. */
export const Ipam = z.object({
  cidr: z.string(),
  nodePrefix: z.number().int(),
  total: z.number().int(),
  used: z.number().int(),
  items: z.array(z.object({node: z.string(), subnet: z.string(), gateway: z.string(), since: z.string()})),
  /** Machines that have none: they have not asked, or there is none left. */
  without: z.array(z.string()),
});
export const Network = resource('Network', NetworkSpec, z.object({
  /** Parts of machines: how many there can be, and are. */
  subnets: z.object({total: z.number().int(), used: z.number().int()}),
}));
export type Network = z.infer<typeof Network>;

/** A public key as WireGuard writes it: 32 bytes in base64. */
export const WireGuardKey = z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, 'is not a public key of WireGuard');

export const SubnetLease = z.object({
  cidr: z.string(),
  /** RFC 3339. */
  since: z.string(),
});
/**
 * Collection `subnets`, key: `ipv4` (an `ipv6` would be beside it). Who has which part of the cluster's addresses, by machine; one
 * record, so that what compares its version gives no part twice. Owner: network.
 */
export const SubnetsRecord = z.object({
  family: z.enum(['ipv4', 'ipv6']),
  leases: z.record(z.string(), SubnetLease),
  /** The part that was given last: the next one is looked for from there, so that one that was released rests for long. */
  last: z.string().optional(),
  /** Public keys that machines told, by machine. No two have the same. */
  wireguardKeys: z.record(z.string(), WireGuardKey).optional(),
});
export type SubnetsRecord = z.infer<typeof SubnetsRecord>;

/** Another machine, as a machine has to know it. */
export const NetworkPeer = z.object({node: z.string(), address: z.string(), subnet: z.string(), /** Absent where it has told none. */ wireguardKey: WireGuardKey.optional()});
export type NetworkPeer = z.infer<typeof NetworkPeer>;

/** The network as one machine sees it. */
export const NetworkView = z.object({
  spec: NetworkSpec,
  /** Null with back-end `none`: then no part of the addresses is taken. */
  self: NetworkPeer.nullable(),
  /** The control plane gives ports of machines to services, and machines lead them on; absent from earlier releases, then engines publish. */
  publishes: z.boolean().optional(),
  peers: z.array(NetworkPeer),
  /** Where the virtual IPs of services are taken from: what is nobody's of it is refused. */
  virtualIps: DiscoverySettings.shape.virtualIps,
});
export type NetworkView = z.infer<typeof NetworkView>;

/** agent → network manager: my part, and the others. `holds`: the part that its containers have addresses of; `wireguardKey`: its public key. `subnets-exhausted` (422), `node-unknown` (404). */
export const getNetwork = defineRequest({
  subject: 'network.{node}.get',
  request: z.object({session: z.number().int(), holds: z.string().optional(), wireguardKey: WireGuardKey.optional()}),
  reply: NetworkView,
});
/** network manager → every agent: what `getNetwork` answers changed. */
export const networkChanged = defineMessage({subject: 'network.changed', message: z.object({})});

/** How a machine reaches another one. Loss is a share from 0 to 1, of the last probes; times in µs. */
export const PeerReach = z.object({
  node: z.string(),
  address: z.string(),
  subnet: z.string(),
  via: z.enum(['vxlan', 'direct', 'wireguard', 'none']),
  sent: z.number().int(),
  loss: z.number().nullable(),
  roundTrip: z.object({least: z.number(), mean: z.number(), most: z.number()}).nullable(),
});
export type PeerReach = z.infer<typeof PeerReach>;

/** Bytes and packets that the machine's device of the overlay has seen since it was made. */
const Counters = z.object({receivedBytes: z.number(), receivedPackets: z.number(), sentBytes: z.number(), sentPackets: z.number(), dropped: z.number(), errors: z.number()});

export const OverlayStatus = z.object({
  node: z.string(),
  /** What is in force; `none` with `reason` where the machine cannot do what was asked for. */
  backend: z.enum(networkBackends),
  subnet: z.string().nullable(),
  /** Bytes of a container's packet. */
  mtu: z.number().int().nullable(),
  /** Why it is not as it should be; empty when all is well. */
  problems: z.array(z.string()),
  /** How often something had to be put right since the agent started, and when last. */
  mended: z.object({times: z.number().int(), last: z.string().nullable()}),
  /** Null where there is no device. */
  device: Counters.nullable(),
  /** By what the machine can encrypt (a program of its own is slower than the kernel), or why it cannot; absent from earlier releases. */
  wireguard: z.union([z.object({by: z.enum(['kernel', 'wireguard-go'])}), z.object({unable: z.string()})]).optional(),
  peers: z.array(PeerReach),
});
export type OverlayStatus = z.infer<typeof OverlayStatus>;

export const Overlay = z.object({backend: z.enum(networkBackends), /** Why it is `none`, where nobody asked for that. */ because: z.string().optional(), items: z.array(OverlayStatus), /** Machines that did not answer. */ silent: z.array(z.string())});

/** network manager → agent: how its part of the overlay is. */
export const getOverlay = defineRequest({subject: 'network.{node}.overlay', request: z.object({}), reply: OverlayStatus, timeoutMs: 3_000});
