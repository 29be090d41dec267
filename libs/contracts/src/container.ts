/** Containers: what should run where, what each node was told, and what it reports. */
import * as z from 'zod';
import {ContainerTemplate} from './app-spec.ts';

/** A published port of one container; `host` 0 leaves the choice to the engine. */
export const PortBinding = z.object({
  name: z.string().optional(),
  container: z.number().int(),
  protocol: z.enum(['tcp', 'udp']),
  host: z.number().int().optional(),
  address: z.string().optional(),
});
export type PortBinding = z.infer<typeof PortBinding>;

/** Collection `containers`, key: id. Written once, when placed; only `removedAt` and `generation` move. Owner: app. */
export const ContainerRecord = z.object({
  /** Unique for ever; a DNS label `app-xxxxx`. */
  id: z.string(),
  namespace: z.string(),
  app: z.string(),
  appUid: z.string(),
  revision: z.number().int().positive(),
  node: z.string(),
  generation: z.number().int().positive(),
  template: ContainerTemplate,
  /** Published ports as placed: ranges are one port by now. */
  ports: z.array(PortBinding),
  mode: z.enum(['replicated', 'job']),
  createdAt: z.string(),
  /** It is to be stopped and removed; the record goes when the node says that it is gone. */
  removedAt: z.string().optional(),
});
export type ContainerRecord = z.infer<typeof ContainerRecord>;

export const ContainerPhase = z.enum(['pending', 'pulling', 'creating', 'starting', 'running', 'stopping', 'exited', 'failed', 'lost', 'removed']);
export type ContainerPhase = z.infer<typeof ContainerPhase>;

/** Collection `container-status`, key: container id. As its node reports it. Owner: container. */
export const ContainerStatus = z.object({
  phase: ContainerPhase,
  /** Startup passed and readiness holds; without probes, running. */
  ready: z.boolean(),
  /** When `ready` last became true. RFC 3339. */
  readySince: z.string().optional(),
  ip: z.string().optional(),
  /** As bound: `host` is the real port. */
  ports: z.array(PortBinding).default([]),
  restarts: z.number().int().nonnegative().default(0),
  exitCode: z.number().int().optional(),
  /** One CamelCase word: ImageNotFound, CrashLoop, Unhealthy, OutOfMemory, Completed … */
  reason: z.string().default(''),
  message: z.string().default(''),
  runtimeId: z.string().optional(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
  /** Of a container in back-off: when it is started again. RFC 3339. */
  nextAttemptAt: z.string().optional(),
  /** The last lines of output before it exited. */
  lastLogs: z.array(z.string()).optional(),
  /** Pull progress while pulling, as in `3/7 layers, 12 of 40 MB`. */
  progress: z.string().optional(),
});
export type ContainerStatus = z.infer<typeof ContainerStatus>;

export const ContainerStatusRecord = z.object({id: z.string(), namespace: z.string(), app: z.string(), node: z.string(), session: z.number().int(), sequence: z.number().int().optional(), status: ContainerStatus, reportedAt: z.string()});
export type ContainerStatusRecord = z.infer<typeof ContainerStatusRecord>;

/** A container as the API answers it. */
export const Container = z.object({
  kind: z.literal('Container'),
  name: z.string(),
  namespace: z.string(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  spec: z.object({app: z.string(), node: z.string(), revision: z.number(), image: z.string(), ports: z.array(PortBinding)}),
  status: ContainerStatus,
  meta: z.object({uid: z.string(), version: z.number(), generation: z.number(), createdAt: z.string(), updatedAt: z.string()}),
});
export type Container = z.infer<typeof Container>;

/** What a container takes of its machine. Units: millicores, bytes. */
export const ResourceAmounts = z.object({cpu: z.number().nonnegative(), memory: z.number().nonnegative()});
export type ResourceAmounts = z.infer<typeof ResourceAmounts>;

/** Collection `allocations`, key: node. What the node has promised; its version guards placement. Owner: app. */
export const AllocationRecord = z.object({
  node: z.string(),
  containers: z.record(z.string(), z.object({
    cpu: z.number(),
    memory: z.number(),
    ports: z.array(z.object({host: z.number(), protocol: z.enum(['tcp', 'udp']), address: z.string().optional()})),
    namespace: z.string(),
    app: z.string(),
    /** Of the app; absent: promised by an earlier release. */
    revision: z.number().int().optional(),
  })),
});
export type AllocationRecord = z.infer<typeof AllocationRecord>;

/** Collection `assignments`, key: node. The complete list of what the node should run; bodies are in `containers`. Owner: app. */
export const AssignmentRecord = z.object({
  node: z.string(),
  containers: z.array(z.object({id: z.string(), generation: z.number().int()})),
});
export type AssignmentRecord = z.infer<typeof AssignmentRecord>;

/** Labels that a container carries in the engine; enough to know it again, and to rebuild its records (law 12). */
export const engineLabels = {
  app: 'hivemind.app',
  namespace: 'hivemind.namespace',
  container: 'hivemind.container',
  node: 'hivemind.node',
  revision: 'hivemind.revision',
  cluster: 'hivemind.cluster',
  /** On the machine's network of containers, where it is on that. */
  address: 'hivemind.address',
  /** JSON of {@link EngineOrigin}. */
  origin: 'hivemind.origin',
} as const;

/** What the `hivemind.origin` label holds: the record as placed, and the store's revision at that time. */
export const EngineOrigin = z.object({epoch: z.string(), n: z.number().int(), container: ContainerRecord, app: z.object({replicas: z.number().int(), mode: z.enum(['replicated', 'job'])})});
export type EngineOrigin = z.infer<typeof EngineOrigin>;

/**
 * Collection `strangers`, key: node/id. A container that a machine runs and the store does not list, until it is adopted or
 * gone. Owner: app.
 */
export const StrangerRecord = z.object({
  id: z.string(),
  node: z.string(),
  running: z.boolean(),
  /** Null where its label cannot be read: then it can only be discarded. */
  origin: EngineOrigin.nullable(),
  /** A person gave it up: its machine may remove it. */
  discarded: z.boolean().default(false),
  reportedAt: z.string(),
});
export type StrangerRecord = z.infer<typeof StrangerRecord>;
