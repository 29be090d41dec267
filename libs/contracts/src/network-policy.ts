/** Who may reach whom: rules of a namespace for its containers, kept by each machine's firewall. */
import * as z from 'zod';
import {resource, resourceBody, StoredMeta, Condition} from './meta.ts';
import {Annotations, DnsLabel, Labels} from './names.ts';
import {defineMessage, defineRequest} from './subject.ts';

const Port = z.number().int().min(1, 'is no port: use 1 to 65535').max(65_535, 'is no port: use 1 to 65535');
const isGiven = (value: unknown): boolean => value !== undefined;
const NotEmpty = Labels.refine((labels) => Object.keys(labels).length > 0, 'names no label');

/** One port, or those from `port` to `endPort`. */
export const PolicyPort = z.strictObject({port: Port, endPort: Port.optional(), protocol: z.enum(['tcp', 'udp']).default('tcp')})
  .refine(({port, endPort}) => endPort === undefined || endPort >= port, {path: ['endPort'], message: 'is below port'});
export type PolicyPort = z.infer<typeof PolicyPort>;

/** `all`: everybody, of the cluster or not. `app` and `labels` (of apps) are of the policy's namespace, or of `namespace`; that alone: all of it. */
export const PolicyPeer = z.strictObject({
  all: z.literal(true).optional(),
  cidr: z.cidrv4('is not a range of IPv4 addresses: write it as in 10.1.0.0/16, one address as 10.1.2.3/32').optional(),
  app: DnsLabel.optional(),
  namespace: DnsLabel.optional(),
  labels: NotEmpty.optional(),
}).refine(({all, cidr, app, namespace, labels}) => [all, cidr, app ?? namespace ?? labels].filter(isGiven).length === 1 && !(isGiven(app) && isGiven(labels)), {
  message: 'needs exactly one of all: true, cidr, app, labels (each of these two also with namespace) and namespace',
});
export type PolicyPeer = z.infer<typeof PolicyPeer>;

const action = z.enum(['allow', 'deny'], 'is no action: use allow or deny');
/** Without ports: all of them, and every protocol. */
const ports = z.array(PolicyPort).min(1, 'names no port: leave it out for all of them').max(32).optional();
export const NetworkPolicySpec = z.strictObject({
  /** Whose containers it is about, of the policy's namespace. */
  target: z.strictObject({app: DnsLabel.optional(), labels: NotEmpty.optional(), all: z.literal(true).optional()})
    .refine((target) => Object.values(target).filter(isGiven).length === 1, {message: 'needs exactly one of app, labels and all: true'}),
  /** The first that matches decides. */
  ingress: z.array(z.strictObject({action, from: PolicyPeer, ports})).max(100).default([]),
  egress: z.array(z.strictObject({action, to: PolicyPeer, ports})).max(100).default([]),
  /** After the rules: what is not of the namespace may not reach the target. */
  isolate: z.boolean().default(false),
  /** `audit`: counted and logged, and let through. */
  mode: z.enum(['enforce', 'audit'], 'is no mode: use enforce or audit').default('enforce'),
}).refine(({ingress, egress, isolate}) => ingress.length + egress.length > 0 || isolate, {message: 'names nothing: give it ingress, egress or isolate: true'});
export type NetworkPolicySpec = z.infer<typeof NetworkPolicySpec>;

/** Collection `network-policies`, key: namespace/name. Owner: network. */
export const NetworkPolicyRecord = z.object({name: z.string(), namespace: z.string(), labels: Labels, annotations: Annotations, spec: NetworkPolicySpec, meta: StoredMeta});
export type NetworkPolicyRecord = z.infer<typeof NetworkPolicyRecord>;
export const NetworkPolicyBody = resourceBody('NetworkPolicy', NetworkPolicySpec);
export const NetworkPolicy = resource('NetworkPolicy', NetworkPolicySpec, z.object({
  /** Apps whose containers it is about, now. */
  apps: z.array(z.string()),
  conditions: z.array(Condition),
}));
export type NetworkPolicy = z.infer<typeof NetworkPolicy>;

/** An app, or an address that need not be of the cluster. */
export const PolicyParty = z.union([
  z.strictObject({app: DnsLabel, namespace: DnsLabel.optional()}),
  z.strictObject({address: z.ipv4('is not an IPv4 address')}),
], 'needs app (and namespace), or address');
export type PolicyParty = z.infer<typeof PolicyParty>;
export const PolicyTest = z.strictObject({from: PolicyParty, to: PolicyParty, port: Port, protocol: z.enum(['tcp', 'udp']).default('tcp')});
export type PolicyTest = z.infer<typeof PolicyTest>;

const RuleName = z.object({
  namespace: z.string(),
  policy: z.string(),
  direction: z.enum(['ingress', 'egress']),
  /** Place in `spec.ingress` or `spec.egress`, from 0; null: `isolate`. */
  rule: z.number().int().nullable(),
  action,
});
export type RuleName = z.infer<typeof RuleName>;
export const PolicyVerdict = z.object({
  allowed: z.boolean(),
  /** Null: no rule matches, and what no rule matches is allowed. */
  decidedBy: RuleName.nullable(),
  /** Rules of policies in audit that would deny it. */
  wouldDeny: z.array(RuleName),
  message: z.string(),
});
export type PolicyVerdict = z.infer<typeof PolicyVerdict>;

/** Some containers: of a namespace, or of some of its apps. */
const Group = z.object({namespace: z.string(), apps: z.array(z.string()).optional()});
const ResolvedRule = z.object({action, peer: z.union([z.object({kind: z.literal('all')}), z.object({kind: z.literal('cidr'), cidr: z.string()}), Group.extend({kind: z.literal('group')})]), ports: z.array(PolicyPort).optional(), /** See {@link RuleName}. */ rule: z.number().int().nullable()});
export type ResolvedRule = z.infer<typeof ResolvedRule>;
/** A policy with its labels looked up: a machine knows containers by namespace and app. */
export const ResolvedPolicy = z.object({namespace: z.string(), name: z.string(), target: Group, ingress: z.array(ResolvedRule), egress: z.array(ResolvedRule), mode: z.enum(['enforce', 'audit'])});
export type ResolvedPolicy = z.infer<typeof ResolvedPolicy>;

/** Containers of an app that have an address. */
export const PolicyMembers = z.object({namespace: z.string(), app: z.string(), addresses: z.array(z.string())});
export type PolicyMembers = z.infer<typeof PolicyMembers>;

/**
 * agent → network manager: who may reach whom. Policies in the order in which they decide, with the first page; addresses of the
 * apps that they speak of, by pages. Another `version` than that of the page before: ask for all again.
 */
export const getPolicies = defineRequest({
  subject: 'network.{node}.policies',
  request: z.object({session: z.number().int(), after: z.string().optional()}),
  reply: z.object({version: z.string(), policies: z.array(ResolvedPolicy), members: z.array(PolicyMembers), next: z.string().nullable()}),
});
/** network manager → every agent: what `getPolicies` answers changed. */
export const policiesChanged = defineMessage({subject: 'network.policies.changed', message: z.object({version: z.string()})});
