/** Machines, volumes. */
import * as z from 'zod';
import {Condition, resource, resourceBody, StoredMeta} from './meta.ts';
import {Annotations, LabelKey, Labels} from './names.ts';
import {Memory} from './quantity.ts';

/** Keeps containers away that do not tolerate it. `NoExecute` also moves those away that are there. */
export const Taint = z.strictObject({key: LabelKey, value: z.string().max(255).optional(), effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])});
export type Taint = z.infer<typeof Taint>;

/** A machine that is being emptied: each container stays until another one is ready elsewhere. */
export const NodeDrain = z.object({
  /** RFC 3339. */
  since: z.string(),
  /** Whatever is left then is stopped, ready elsewhere or not. RFC 3339; absent: it waits. */
  deadlineAt: z.string().optional(),
  /** Stop the users of local volumes too; they wait until the machine takes containers again. */
  stopLocal: z.boolean().default(false),
});
export type NodeDrain = z.infer<typeof NodeDrain>;

export const NodeSpec = z.strictObject({
  /** No new container is placed on it. */
  unschedulable: z.boolean().default(false),
  taints: z.array(Taint).default([]),
  drain: NodeDrain.optional(),
  /** Emptied of everything, users of local volumes and global apps included. */
  maintenance: z.boolean().optional(),
  /** Address that published ports are reached at. */
  address: z.string(),
});
/** Collection `nodes`, key: name. Owner: node. */
export const NodeRecord = z.object({name: z.string(), labels: Labels, annotations: Annotations, spec: NodeSpec, meta: StoredMeta});
export type NodeRecord = z.infer<typeof NodeRecord>;

/** What the machine has. Units: millicores, bytes. */
export const NodeCapacity = z.object({cpu: z.number(), memory: z.number(), disk: z.number(), diskFree: z.number().optional(), pods: z.number().int().default(500)});
/** A published port that is left to a process of the machine, which listened on it before. `address`: absent, all. */
export const TakenPort = z.object({port: z.number().int(), protocol: z.enum(['tcp', 'udp']), address: z.string().optional(), service: z.string()});
export type TakenPort = z.infer<typeof TakenPort>;
export const NodeReport = z.object({
  capacity: NodeCapacity,
  /** Facts of the machine, as labels `hivemind.io/os`, `/arch`, `/hostname`, `/kernel`. */
  labels: Labels,
  address: z.string(),
  runtime: z.object({name: z.string(), version: z.string(), available: z.boolean(), message: z.string().optional()}),
  agentVersion: z.string(),
  /** The machine leads published ports to containers on any machine, but those that a process of its own listens on; absent: it does not, the engine publishes. */
  hostPorts: z.object({taken: z.array(TakenPort)}).optional(),
  /** What the machine uses, whoever uses it: millicores and bytes, at `at` (RFC 3339). */
  usage: z.object({cpu: z.number(), memory: z.number(), disk: z.number(), at: z.string()}).optional(),
});
export type NodeReport = z.infer<typeof NodeReport>;
export const NodePhase = z.enum(['ready', 'unreachable', 'dead', 'draining', 'maintenance', 'left']);
export const NodeStatus = z.object({
  phase: NodePhase,
  session: z.number().int(),
  capacity: NodeCapacity,
  runtime: NodeReport.shape.runtime,
  agentVersion: z.string(),
  lastSeenAt: z.string(),
  conditions: z.array(Condition),
});
/** Collection `node-status`, key: name. Owner: node. */
export const NodeStatusRecord = z.object({name: z.string(), report: NodeReport, session: z.number().int(), lastSeenAt: z.string()});
export type NodeStatusRecord = z.infer<typeof NodeStatusRecord>;
/** Collection `node-leases`, key: name, bound to a lease of the store: gone when the agent was not heard for its length. Owner: node. */
export const NodeLeaseRecord = z.object({name: z.string(), session: z.number().int(), lease: z.string(), ttlMs: z.number().optional()});
export type NodeLeaseRecord = z.infer<typeof NodeLeaseRecord>;
export const Node = resource('Node', NodeSpec, NodeStatus.extend({
  allocated: z.object({cpu: z.number(), memory: z.number(), containers: z.number().int()}),
  /** Of a drain under way, or of one that ended and was not called off. */
  drain: z.object({since: z.string(), deadlineAt: z.string().optional(), done: z.boolean(), total: z.number().int(), blocked: z.array(z.object({container: z.string(), namespace: z.string(), app: z.string(), reason: z.string(), message: z.string()}))}).optional(),
}));
export type Node = z.infer<typeof Node>;

export const VolumeSpec = z.strictObject({driver: z.literal('local').default('local'), size: Memory.optional()});
/** Collection `volumes`, key: namespace/name. Made by hand, or when first used. `node`: where its data is. Owner: storage. */
export const VolumeRecord = z.object({name: z.string(), namespace: z.string(), labels: Labels, annotations: Annotations, spec: VolumeSpec, node: z.string().optional(), meta: StoredMeta});
export type VolumeRecord = z.infer<typeof VolumeRecord>;
export const VolumeBody = resourceBody('Volume', VolumeSpec.prefault({}));
export const Volume = resource('Volume', VolumeSpec, z.object({phase: z.enum(['pending', 'bound', 'unreachable', 'lost']), message: z.string().optional(), node: z.string().optional(), usedBy: z.array(z.string())}));

/** Secret values as written: text, or base64 when `encoding` says so. Answered with its keys only, never its values. */
export const SecretSpec = z.strictObject({data: z.record(z.string().min(1).max(253), z.string().max(1_048_576)), encoding: z.enum(['text', 'base64']).default('text')});
export const SecretBody = resourceBody('Secret', SecretSpec);
/** Collection `secrets`, key: namespace/name. `sealed`: AES-256-GCM of the JSON data under the control plane's key, base64. Owner: security. */
export const SecretRecord = z.object({name: z.string(), namespace: z.string(), labels: Labels, annotations: Annotations, keys: z.array(z.string()), sealed: z.string(), meta: StoredMeta});
export type SecretRecord = z.infer<typeof SecretRecord>;
export const Secret = resource('Secret', z.object({keys: z.array(z.string())}), z.object({}));
