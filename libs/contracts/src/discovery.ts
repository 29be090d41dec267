/** Services: the names that apps are reached by, the containers behind each, and how every machine comes to know them. */
import * as z from 'zod';
import {DnsName, HostAlias} from './names.ts';
import {Condition, resource, StoredMeta} from './meta.ts';
import {defineMessage, defineRequest} from './subject.ts';

/** The domain that all names of a cluster end in. */
export const CLUSTER_DOMAIN = 'hive';

/** How connections to a virtual IP are spread over the containers behind it. With each of them a container takes as much as it weighs. */
export const balanceStrategies = ['round-robin', 'random', 'weighted', 'ip-hash'] as const;

/** `service` of an app's spec: how others reach it. */
export const AppService = z.strictObject({
  /** A name of its own beside those that every app has, the same for every namespace. */
  domain: DnsName
    .refine((name) => name.includes('.'), 'has no dot: write two labels or more, as in web.local; by its own name the app is reached anyway')
    .refine((name) => !/(^|\.)(hive|arpa)$/.test(name), `is the cluster's own or the Internet's: end it otherwise than in .${CLUSTER_DOMAIN} or .arpa`)
    .optional(),
  /** Its names give the addresses of its ready containers, and no virtual IP. */
  headless: z.boolean().optional(),
  strategy: z.enum([...balanceStrategies, 'least-connections']).optional(),
  /** `client`: a client comes back to the same container for as long as that is in rotation. */
  affinity: z.enum(['none', 'client']).optional(),
}).refine(({headless, strategy, affinity}) => headless !== true || (strategy === undefined && affinity !== 'client'), {path: ['headless'], message: 'leaves nothing to balance: leave it out, or strategy and affinity'});
export type AppService = z.infer<typeof AppService>;

/** Of its virtual IP; connections take turns where a strategy is absent. One of a later release is as if it were absent. */
export const Balancing = z.object({strategy: z.enum(balanceStrategies).optional().catch(undefined), affinity: z.literal('client').optional().catch(undefined)});
export type Balancing = z.infer<typeof Balancing>;

/** A port that containers of a service listen on. */
export const ServicePort = z.object({name: z.string().optional(), port: z.number().int(), protocol: z.enum(['tcp', 'udp'])});
export type ServicePort = z.infer<typeof ServicePort>;

/** A port of the machines themselves, each of which leads it to all containers of a service. */
export const PublishedPort = z.object({
  name: z.string().optional(),
  /** Of the machines. */
  port: z.number().int(),
  /** Of the containers. */
  targetPort: z.number().int(),
  protocol: z.enum(['tcp', 'udp']),
  /** IPv4, of a machine; any address of theirs when absent. */
  address: z.string().optional(),
});
export type PublishedPort = z.infer<typeof PublishedPort>;

/** How much of its traffic the containers of a revision take together, in percent. */
export const TrafficShare = z.object({revision: z.number().int(), weight: z.number()});
export type TrafficShare = z.infer<typeof TrafficShare>;

/** Collection `services`, key: namespace/name, as its app's. Owner: discovery. */
export const ServiceRecord = z.object({
  name: z.string(),
  namespace: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  appUid: z.string(),
  headless: z.boolean(),
  /** Absent too where another app has it already: see `conditions`. */
  domain: z.string().optional(),
  /** Names within the namespace beside its own. */
  aliases: z.array(HostAlias).default([]),
  ports: z.array(ServicePort),
  /** IPv4, the same for the service's life; absent where it is headless, or none is left. */
  virtualIp: z.string().optional(),
  /** Ports of the machines; absent where there are none, or the engines publish them. */
  published: z.array(PublishedPort).optional(),
  /** Absent: nothing was asked for. */
  balancing: Balancing.optional(),
  traffic: z.array(TrafficShare).default([]),
  conditions: z.array(Condition).default([]),
  meta: StoredMeta,
});
export type ServiceRecord = z.infer<typeof ServiceRecord>;

/** Collection `endpoints`, key: container id. A container that has an address. Owner: discovery. */
export const EndpointRecord = z.object({
  container: z.string(),
  namespace: z.string(),
  service: z.string(),
  node: z.string(),
  /** IP address on the network of containers. */
  address: z.string(),
  ports: z.array(ServicePort),
  revision: z.number().int(),
  /** In rotation. */
  ready: z.boolean(),
  /** One CamelCase word: Ready, NotReady, Removing, NodeUnreachable, NodeDead. */
  reason: z.string(),
});
export type EndpointRecord = z.infer<typeof EndpointRecord>;

/** Collection `discovery-settings`, key: `settings`. Owner: discovery. */
export const DiscoverySettings = z.strictObject({
  /** Virtual IPs are taken from it; services keep those that they have. */
  virtualIps: z.cidrv4('is no IPv4 range: write it as in 10.96.0.0/16').refine((range) => Number(range.split('/')[1]) >= 8 && Number(range.split('/')[1]) <= 30, 'is too large or too small: use a prefix of 8 to 30 bits').default('10.96.0.0/16'),
});
export type DiscoverySettings = z.infer<typeof DiscoverySettings>;
export const DISCOVERY_SETTINGS_KEY = 'settings';

export const Service = resource(
  'Service',
  z.object({app: z.string(), headless: z.boolean(), domain: z.string().optional(), aliases: z.array(z.string()), ports: z.array(ServicePort), ...Balancing.shape}),
  z.object({
    /** `ready`: somebody is in rotation. `unready`: there are containers, and none of them is. `empty`: there is none. */
    phase: z.enum(['ready', 'unready', 'empty']),
    virtualIp: z.string().optional(),
    published: z.array(PublishedPort).optional(),
    endpoints: z.object({total: z.number().int(), ready: z.number().int()}),
    /** What it is reached by: full names first, then those within its namespace. */
    names: z.array(z.string()),
    conditions: z.array(Condition),
  }),
);
export type Service = z.infer<typeof Service>;

/** `weight`: its part of the traffic beside others of the service, 0 to 100; the heaviest has 100. */
export const Endpoint = resource(
  'Endpoint',
  z.object({service: z.string(), node: z.string(), address: z.string(), ports: z.array(ServicePort), revision: z.number().int(), weight: z.number()}),
  z.object({ready: z.boolean(), reason: z.string()}),
);
export type Endpoint = z.infer<typeof Endpoint>;

/** What the names of a service give, and why, as `…/resolve` tells it. */
export const Resolution = z.object({
  kind: z.literal('Resolution'),
  name: z.string(),
  namespace: z.string(),
  answers: z.array(z.object({name: z.string(), type: z.enum(['A', 'SRV']), answer: z.array(z.string()), ttl: z.number().int(), because: z.string()})),
  endpoints: z.array(z.object({container: z.string(), node: z.string(), address: z.string(), inRotation: z.boolean(), because: z.string()})),
});
export type Resolution = z.infer<typeof Resolution>;

// --- to the machines ---------------------------------------------------------------------------------------------------

/**
 * One fact that names are answered from; without `value` it is gone. Keys: `namespace/name` of a service, the id of an
 * endpoint's container, the name of a machine.
 */
export const NameItem = z.discriminatedUnion('kind', [
  z.object({kind: z.literal('service'), key: z.string(), value: ServiceRecord.pick({headless: true, domain: true, aliases: true, ports: true, virtualIp: true, published: true, balancing: true, traffic: true}).optional()}),
  z.object({kind: z.literal('endpoint'), key: z.string(), value: EndpointRecord.pick({namespace: true, service: true, node: true, address: true, ports: true, revision: true, ready: true}).optional()}),
  z.object({kind: z.literal('node'), key: z.string(), value: z.object({address: z.string()}).optional()}),
]);
export type NameItem = z.infer<typeof NameItem>;

const Point = z.object({epoch: z.string(), n: z.number().int()});

/**
 * Which names are known to be applied by every machine that uses them: nobody leads anyone to what had left the rotation by then.
 * `by`: who counts, and since when; machines tell each new one where they stand.
 */
export const NamesEverywhere = z.object({
  by: z.string(),
  /** Null: not known yet. */
  n: z.number().int().nullable(),
  /** Machines that others wait for, some of them; each says again where it stands. */
  behind: z.array(z.string()),
  /** ms between two words of a machine, so that one who counts many is not flooded. */
  everyMs: z.number().nonnegative(),
});
export type NamesEverywhere = z.infer<typeof NamesEverywhere>;

/**
 * discovery → every machine: what changed after `from`, and also with nothing every few seconds, so that a machine that
 * missed the last change learns of it. `items` absent: too much for a message, ask. Who is not at `from` asks (`getNames`).
 * `everywhere` is absent from earlier releases.
 */
export const namesChanged = defineMessage({
  subject: 'discovery.changed',
  message: z.object({epoch: z.string(), from: z.number().int(), to: z.number().int(), items: z.array(NameItem).optional(), everywhere: NamesEverywhere.optional()}),
});

/**
 * agent → discovery: this machine answers names, and leads to virtual IPs, as things were at `n` or later. Null: it does neither any
 * more, and is not to be waited for. Told when a container that had left the rotation is out of it here, many in one word.
 */
export const namesApplied = defineMessage({
  subject: 'discovery.{node}.applied',
  message: z.object({epoch: z.string(), n: z.number().int().nullable()}),
});

/**
 * agent → discovery: what changed since `known`, or, where that is not known any more, all of it in pages: `after` is the
 * `next` of the page before. `names-held` (503): the store was lost or rewound and is not adopted, so keep what you have.
 */
export const getNames = defineRequest({
  subject: 'discovery.{node}.names',
  request: z.object({known: Point.optional(), after: z.string().optional()}),
  reply: z.object({at: Point, full: z.boolean(), items: z.array(NameItem), next: z.string().optional()}),
  timeoutMs: 10_000,
});
