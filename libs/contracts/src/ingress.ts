/** Ingress: requests from outside, by host and path to the containers of apps, through HAProxy on the machines that take it. */
import * as z from 'zod';
import type {AppSpec} from './app-spec.ts';
import {Condition, resource, resourceBody, StoredMeta} from './meta.ts';
import {Annotations, DnsLabel, DnsName, Labels} from './names.ts';
import {Duration, durationMs} from './quantity.ts';
import {defineMessage, defineRequest} from './subject.ts';

const Port = z.number().int().min(1, 'is no port: use 1 to 65535').max(65_535, 'is no port: use 1 to 65535');
const LONGEST_MS = 86_400_000;
const Bounded = Duration.refine((text) => durationMs(text) >= 1 && durationMs(text) <= LONGEST_MS, 'is too short or too long: use 1ms to 24h');

/** Exact, or `*.` and what every name ends in that is meant. */
const Host = z.string().max(253).refine((host) => DnsName.safeParse(host.replace(/^\*\./, '')).success, 'is no host: write it in lower case as in shop.example, or *.shop.example for all below it');
/** What neither a URL's path nor a line of HAProxy's configuration can hold is left out. */
const Path = z.string().max(1024).regex(/^\/[!$%&()*+,\-./0-9:;=@A-Z_a-z~]*$/, 'is no path: it begins with / and holds what the path of a URL does, without ? and #');
const HeaderName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'is no name of a header: use letters, digits, hyphens and underscores');
const CookieName = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'is no name of a cookie: use letters, digits, hyphens, underscores and dots');
const FieldValue = z.string().max(256).regex(/^[!-&(-[\]-~]([ -&(-[\]-~]*[!-&(-[\]-~])?$/, 'is no value to compare with: use printable ASCII without \' and \\, not beginning or ending with a space');

export const IngressRule = z.strictObject({
  /** Absent: any. */
  host: Host.optional(),
  path: Path.default('/'),
  /** `prefix`: by whole segments, so that /api is about /api and /api/x, not /apis. */
  match: z.enum(['prefix', 'exact'], 'is no way to match: use prefix or exact').default('prefix'),
  /** All must be there with exactly these values. */
  headers: z.record(HeaderName, FieldValue).refine((fields) => Object.keys(fields).length <= 8, 'are more than 8').default({}),
  cookies: z.record(CookieName, FieldValue).refine((fields) => Object.keys(fields).length <= 8, 'are more than 8').default({}),
  /** Of the ingress' namespace. */
  app: DnsLabel,
  /** By number or name, of those that the app declares; absent: its only TCP port. */
  port: z.union([Port, DnsLabel], 'is no port: use its number or its name').optional(),
  /** What the containers speak; `h2c` is HTTP/2 in the clear, as gRPC. */
  protocol: z.enum(['http', 'h2c'], 'is no protocol: use http or h2c').default('http'),
});
export type IngressRule = z.infer<typeof IngressRule>;

const SecretTls = z.strictObject({
  /** Of the ingress' namespace, with the certificate (and its chain) under `tls.crt` and the key under `tls.key`, in PEM. */
  secret: DnsLabel,
});
const FileTls = z.strictObject({
  /** In `certificates/` of each machine's data dir: certificate, chain and key in PEM. */
  file: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'is no name of a file: it is sought in certificates/ of the data dir'),
});
export const IngressTls = z.union([SecretTls, FileTls], 'needs secret or file');
export type IngressTls = z.infer<typeof IngressTls>;

export const retryReasons = ['connect', 'empty', 'timeout', '500', '502', '503', '504'] as const;

export const IngressSpec = z.strictObject({
  rules: z.array(IngressRule).min(1, 'names no rule').max(256, 'are more than 256: make several ingresses'),
  /** Ports of the machines. */
  listen: z.strictObject({
    /** `false`: HTTP is not spoken. */
    http: z.union([Port, z.literal(false)], 'is no port: use 1 to 65535, or false').default(80),
    https: Port.default(443),
  }).prefault({}),
  /** Which machines take it; both absent: all. */
  nodes: z.strictObject({names: z.array(DnsLabel).min(1, 'names none: leave it out for all').optional(), labels: Labels.optional()}).prefault({}),
  /** With one, HTTPS is spoken too. */
  tls: z.array(IngressTls).max(64).default([]),
  /** What comes by HTTP is sent to HTTPS. */
  redirectHttps: z.boolean().default(false),
  balance: z.enum(['least-connections', 'round-robin', 'random', 'ip-hash'], 'is no strategy: use least-connections, round-robin, random or ip-hash').default('least-connections'),
  /** Who came once goes to the same container, as long as that is in rotation. */
  affinity: z.strictObject({cookie: CookieName}).optional(),
  retries: z.strictObject({
    attempts: z.number().int().min(0).max(10).default(3),
    /** `connect` for every request; the others only for GET, HEAD and OPTIONS, and each request is kept for them until it is answered. */
    on: z.array(z.enum(retryReasons, `is no reason to try again: use ${retryReasons.join(', ')}`)).min(1).default(['connect']),
  }).prefault({}),
  timeouts: z.strictObject({
    connect: Bounded.default('5s'),
    /** To the next bytes of the answer. */
    response: Bounded.default('60s'),
    /** Silence on a WebSocket, or whatever else was upgraded. */
    tunnel: Bounded.default('1h'),
  }).prefault({}),
  /** A container that errs so often in a row is left alone for `eject`, then tried with little traffic. */
  breaker: z.strictObject({
    /** Answers 5xx (but 501 and 505), and none. */
    errors: z.number().int().min(1).max(1000).default(10),
    eject: Bounded.refine((text) => durationMs(text) >= 100, 'is too short: use 100ms or more').default('10s'),
    /** It is back only when this is answered with 200 to 399; absent: when it takes connections. */
    probe: Path.optional(),
  }).optional(),
  /** By the client's address, on each machine for itself; more is answered with 429. */
  rateLimit: z.strictObject({requests: z.number().int().min(1).max(1_000_000_000), per: Bounded}).optional(),
  accessLog: z.boolean().default(true),
}).superRefine(({listen, tls, redirectHttps}, context) => {
  if (tls.length > 0 && listen.http === listen.https) context.addIssue({code: 'custom', path: ['listen', 'https'], message: 'is the port of http'});
  if (tls.length === 0 && listen.http === false) context.addIssue({code: 'custom', path: ['listen', 'http'], message: 'is off, and there is no tls: nothing would be listened at'});
  if (redirectHttps && tls.length === 0) context.addIssue({code: 'custom', path: ['redirectHttps'], message: 'needs tls'});
  if (redirectHttps && listen.http === false) context.addIssue({code: 'custom', path: ['redirectHttps'], message: 'needs listen.http'});
});
export type IngressSpec = z.infer<typeof IngressSpec>;

/** Collection `ingresses`, key: namespace/name. Owner: discovery. */
export const IngressRecord = z.object({name: z.string(), namespace: z.string(), labels: Labels, annotations: Annotations, spec: IngressSpec, meta: StoredMeta});
export type IngressRecord = z.infer<typeof IngressRecord>;
export const IngressBody = resourceBody('Ingress', IngressSpec);
export const Ingress = resource('Ingress', IngressSpec, z.object({
  /** `ready`: behind each rule somebody is in rotation. `degraded`: behind some. `unready`: behind none. */
  phase: z.enum(['ready', 'degraded', 'unready']),
  /** Machines that are to take it. */
  nodes: z.array(z.string()),
  conditions: z.array(Condition),
}));
export type Ingress = z.infer<typeof Ingress>;

/** What a write would do, as `dryRun` answers it. */
export const IngressPlan = z.object({
  kind: z.literal('Plan'),
  action: z.enum(['create', 'update', 'none', 'delete']),
  name: z.string(),
  namespace: z.string(),
  /** Machines whose configuration changes. */
  nodes: z.array(z.string()),
  conditions: z.array(Condition),
});
export type IngressPlan = z.infer<typeof IngressPlan>;

/** Whether a machine takes an ingress. `labels`: those it has. */
export function takesIngress({nodes: {names, labels = {}}}: Pick<IngressSpec, 'nodes'>, node: {readonly name: string; readonly labels: Readonly<Record<string, string>>}): boolean {
  return (names?.includes(node.name) ?? true) && Object.entries(labels).every(([key, value]) => node.labels[key] === value);
}

/** The ports that it is at, and what is spoken there. */
export function ingressPorts({listen, tls}: Pick<IngressSpec, 'listen' | 'tls'>): readonly {readonly port: number; readonly secure: boolean; readonly field: 'http' | 'https'}[] {
  return [
    ...(listen.http === false ? [] : [{port: listen.http, secure: false, field: 'http' as const}]),
    ...(tls.length > 0 ? [{port: listen.https, secure: true, field: 'https' as const}] : []),
  ];
}

/**
 * Ports that an ingress listens at and an app publishes by their number (`index` among its ports), where both may be on one machine.
 * @param shared all machines lead a published port to its app
 */
export function ingressAppClashes(ingress: Pick<IngressSpec, 'listen' | 'tls' | 'nodes'>, {ports, placement}: Pick<AppSpec, 'ports' | 'placement'>, shared: boolean): readonly {readonly port: number; readonly field: 'http' | 'https'; readonly index: number}[] {
  const apart = !shared && ingress.nodes.names?.some((name) => placement.nodes?.includes(name) ?? true) === false;
  return apart ? [] : ingressPorts(ingress).flatMap(({port, field}) => {
    const index = ports.findIndex(({host, protocol}) => host === port && protocol === 'tcp');
    return index < 0 ? [] : [{port, field, index}];
  });
}

// --- to the machines ---------------------------------------------------------------------------------------------------

/** An ingress as a machine is to have it: those of its rules that no other one claims. */
export const MachineIngress = z.object({namespace: z.string(), name: z.string(), spec: IngressSpec});
export type MachineIngress = z.infer<typeof MachineIngress>;

/** discovery → every machine: what `getIngresses` answers changed. */
export const ingressesChanged = defineMessage({subject: 'discovery.ingresses.changed', message: z.object({version: z.string()})});

/**
 * agent → discovery: the ingresses that this machine takes, by pages. Another `version` than that of the page before: ask for all
 * again. `names-held` (503): keep what you have.
 */
export const getIngresses = defineRequest({
  subject: 'discovery.{node}.ingresses',
  request: z.object({after: z.string().optional()}),
  reply: z.object({version: z.string(), ingresses: z.array(MachineIngress), next: z.string().nullable()}),
});

/** How a machine fares with what it was told. */
export const IngressReport = z.object({
  /** Of `getIngresses`, as it is in force; empty: nothing was told yet. */
  version: z.string(),
  running: z.boolean(),
  /** Why something is not as it was told. */
  problem: z.string(),
});
export type IngressReport = z.infer<typeof IngressReport>;

/** discovery → agent, when somebody looks. */
export const reportIngress = defineRequest({subject: 'discovery.{node}.ingress-report', request: z.object({}), reply: IngressReport, timeoutMs: 2_000});

/** discovery → security, before an ingress is accepted: whether certificate and key in the secret are a pair. Empty: they are. */
export const checkCertificate = defineRequest({subject: 'security.certificate', request: z.object({namespace: z.string(), secret: z.string()}), reply: z.object({problem: z.string()})});

/** Where each machine stands, for people. */
export const IngressMachines = z.object({items: z.array(IngressReport.extend({node: z.string(), state: z.enum(['current', 'behind', 'silent'])}))});
export type IngressMachines = z.infer<typeof IngressMachines>;
