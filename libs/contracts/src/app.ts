/** Apps, their revisions, rollouts, configs and namespaces. */
import * as z from 'zod';
import {AppSpec} from './app-spec.ts';
import {Condition, resource, resourceBody, StoredMeta} from './meta.ts';
import {Annotations, Labels} from './names.ts';

/** Collection `namespaces`, key: name. Owner: app. */
export const NamespaceRecord = z.object({name: z.string(), labels: Labels, annotations: Annotations, spec: z.object({}).default({}), meta: StoredMeta});
export type NamespaceRecord = z.infer<typeof NamespaceRecord>;
export const NamespaceBody = resourceBody('Namespace', z.strictObject({}).default({})).omit({namespace: true});
export const Namespace = resource('Namespace', z.object({}), z.object({apps: z.number().int()}));

/** Collection `apps`, key: namespace/name. Owner: app. */
export const AppRecord = z.object({
  name: z.string(),
  namespace: z.string(),
  labels: Labels,
  annotations: Annotations,
  spec: AppSpec,
  /** Number of the revision that `spec` is; see `app-revisions`. */
  revision: z.number().int().positive(),
  /** Stopped by a person: no container is wanted, whatever `replicas` says. */
  stopped: z.boolean().default(false),
  /** Moved by `restart`: makes a new revision of the same template. */
  restarts: z.number().int().nonnegative().default(0),
  /** Set when it is being deleted: its containers are removed first, then the record. RFC 3339. */
  deletedAt: z.string().optional(),
  meta: StoredMeta,
});
export type AppRecord = z.infer<typeof AppRecord>;

/** Collection `app-revisions`, key: namespace/app/number. Immutable; the last 10 are kept. Owner: app. */
export const AppRevision = z.object({
  appUid: z.string(),
  app: z.string(),
  namespace: z.string(),
  number: z.number().int().positive(),
  /** The whole spec: containers are made from its template (`templateOf`), a rollback puts it back. */
  spec: AppSpec,
  restarts: z.number().int().nonnegative().default(0),
  createdAt: z.string(),
  /** What made it: `create`, `update`, `restart`, `rollback to 3`. */
  cause: z.string(),
});
export type AppRevision = z.infer<typeof AppRevision>;

/** How many containers of a revision there should be, and its share of traffic. */
export const RevisionCount = z.object({revision: z.number().int().positive(), replicas: z.number().int().nonnegative(), weight: z.number().min(0).max(100)});
export type RevisionCount = z.infer<typeof RevisionCount>;

export const RolloutPhase = z.enum(['progressing', 'paused', 'completed', 'rolling-back', 'rolled-back', 'failed', 'aborted', 'superseded']);
export type RolloutPhase = z.infer<typeof RolloutPhase>;

/**
 * Collection `rollouts`, key: namespace/app/revision (see revisionKey). The one with the highest revision is the app's
 * current one: its `counts` are what the app manager makes so, during the rollout and ever after. Owner: deployment.
 */
export const Rollout = z.object({
  id: z.string(),
  appUid: z.string(),
  app: z.string(),
  namespace: z.string(),
  /** The revision that is rolled out. */
  revision: z.number().int().positive(),
  /** The one it replaces, and goes back to when it fails; null for an app's first. */
  previous: z.number().int().positive().nullable(),
  phase: RolloutPhase,
  /** As acted on: `stop-first` where two copies cannot coexist. */
  strategy: z.enum(['rolling', 'recreate', 'stop-first']),
  counts: z.array(RevisionCount),
  /** The app's generation that the counts answer to. */
  generation: z.number().int(),
  reason: z.string(),
  message: z.string(),
  startedAt: z.string(),
  /** Moves when it makes progress. RFC 3339. */
  deadlineAt: z.string().optional(),
  finishedAt: z.string().optional(),
  /** Most new containers ready at once so far: progress moves the deadline. */
  progress: z.number().int().nonnegative().default(0),
});
export type Rollout = z.infer<typeof Rollout>;

export const AppPhase = z.enum(['pending', 'progressing', 'running', 'degraded', 'failed', 'stopped', 'completed']);
export type AppPhase = z.infer<typeof AppPhase>;
export const AppStatus = z.object({
  phase: AppPhase,
  replicas: z.object({desired: z.number(), running: z.number(), ready: z.number(), updated: z.number()}),
  revision: z.number(),
  endpoints: z.array(z.object({node: z.string(), address: z.string(), port: z.number(), container: z.string().optional(), name: z.string().optional()})),
  conditions: z.array(Condition),
});
export type AppStatus = z.infer<typeof AppStatus>;

export const AppBody = resourceBody('App', AppSpec);
export const App = resource('App', AppSpec, AppStatus);
export type App = z.infer<typeof App>;

/** Collection `configs`, key: namespace/name. Values are text, or base64 when `encoding` says so. Owner: app. */
export const ConfigSpec = z.strictObject({
  data: z.record(z.string().min(1).max(253), z.string().max(1_048_576)),
  encoding: z.enum(['text', 'base64']).default('text'),
});
export const ConfigRecord = z.object({name: z.string(), namespace: z.string(), labels: Labels, annotations: Annotations, spec: ConfigSpec, meta: StoredMeta});
export type ConfigRecord = z.infer<typeof ConfigRecord>;
export const ConfigBody = resourceBody('Config', ConfigSpec);
export const Config = resource('Config', ConfigSpec, z.object({}));

/** What a write would do, answered by `?dryRun=true` and `…/plan`. */
export const Plan = z.object({
  app: z.string(),
  namespace: z.string(),
  /** `none`: nothing would change. */
  action: z.enum(['create', 'update', 'scale', 'delete', 'none']),
  strategy: z.enum(['rolling', 'recreate', 'stop-first', 'none']),
  /** Why that strategy, where it is not the one asked for. */
  because: z.string().optional(),
  fields: z.array(z.object({path: z.string(), before: z.unknown(), after: z.unknown()})),
  containers: z.array(z.object({action: z.enum(['create', 'stop', 'keep']), container: z.string().optional(), revision: z.number(), node: z.string().optional(), reason: z.string().optional()})),
  /** Where no machine would take a container, and why; empty when all fit. */
  refusals: z.array(z.object({node: z.string(), reason: z.string()})),
});
export type Plan = z.infer<typeof Plan>;

/**
 * Collection `host-ports`, key: protocol/port. The app that last asked for a fixed port of the machines. It puts those who ask
 * for one port in order, so that each sees the one before; whose port it is, the apps themselves say. Owner: app.
 */
export const HostPortRecord = z.object({port: z.number().int(), protocol: z.enum(['tcp', 'udp']), app: z.string()});
export type HostPortRecord = z.infer<typeof HostPortRecord>;

/** A thing that happened, for people. Collection `events`, key: namespace/time-id. Append only; each record has one writer. */
export const EventRecord = z.object({
  time: z.string(),
  namespace: z.string(),
  kind: z.string(),
  name: z.string(),
  type: z.enum(['normal', 'warning']),
  /** One CamelCase word. */
  reason: z.string(),
  message: z.string(),
  node: z.string().optional(),
  container: z.string().optional(),
});
export type EventRecord = z.infer<typeof EventRecord>;
