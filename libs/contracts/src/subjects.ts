/**
 * Every subject of the bus. Wakes carry no decision: whoever hears one re-reads state (law 5).
 * `{node}` subjects belong to one machine, which is served by its agent.
 */
import * as z from 'zod';
import {AppSpec, placementStrategies, Toleration} from './app-spec.ts';
import {EventRecord} from './app.ts';
import {ContainerRecord, ContainerStatus, PortBinding} from './container.ts';
import {NodeReport} from './node.ts';
import {FieldError} from './error.ts';
import {defineMessage, defineRequest, defineStream} from './subject.ts';

const Empty = z.object({});
const RevisionSchema = z.object({epoch: z.string(), n: z.number().int()});
/** One way control: nothing is sent. */
const None = z.never();

// --- security ---------------------------------------------------------------------------------------------------------

/** app → security, before a write is accepted. Answers the field errors; empty: admitted. */
export const admit = defineRequest({
  subject: 'security.admit',
  request: z.object({namespace: z.string(), name: z.string(), spec: AppSpec}),
  reply: z.object({errors: z.array(FieldError)}),
});

/** agent → security: secret values, sealed to the key that the agent just made (X25519 → HKDF-SHA256 → AES-256-GCM). All base64. */
export const openSecrets = defineRequest({
  subject: 'security.secrets.{node}',
  request: z.object({session: z.number().int(), publicKey: z.string(), secrets: z.array(z.object({namespace: z.string(), name: z.string()}))}),
  reply: z.object({publicKey: z.string(), nonce: z.string(), sealed: z.string(), missing: z.array(z.object({namespace: z.string(), name: z.string()}))}),
});
/** What `sealed` holds: name → key → base64 bytes. */
export const OpenedSecrets = z.record(z.string(), z.record(z.string(), z.string()));

// --- scheduler --------------------------------------------------------------------------------------------------------

const PlacementAffinity = z.object({app: z.string(), topology: z.string(), weight: z.number(), required: z.boolean()});
export const PlacementRequest = z.object({
  /** Id that the container will have. */
  id: z.string(),
  namespace: z.string(),
  app: z.string(),
  /** Millicores and bytes asked for. */
  cpu: z.number(),
  memory: z.number(),
  /** `host` as in the spec: a number, a range `a-b`, or 0. */
  ports: z.array(z.object({container: z.number(), protocol: z.enum(['tcp', 'udp']), host: z.union([z.number(), z.string()]).optional(), name: z.string().optional(), address: z.string().optional()})),
  nodes: z.array(z.string()),
  constraints: z.array(z.object({label: z.string(), in: z.array(z.string()).optional(), notIn: z.array(z.string()).optional(), exists: z.boolean().optional(), missing: z.boolean().optional(), gt: z.number().optional(), lt: z.number().optional()})),
  /** Local volumes that pin it: the machines their data is on. */
  pinnedTo: z.array(z.object({volume: z.string(), node: z.string()})),
  /** The fields below are absent from a request of an earlier release. */
  /** Of the app: among its own kind it is spread first. */
  revision: z.number().int().optional(),
  tolerations: z.array(Toleration).optional(),
  affinity: z.array(PlacementAffinity).optional(),
  antiAffinity: z.array(PlacementAffinity).optional(),
  spread: z.array(z.object({topology: z.string(), maxSkew: z.number()})).optional(),
  strategy: z.enum(placementStrategies).optional(),
});
export type PlacementRequest = z.infer<typeof PlacementRequest>;
/** `filter`: which check of the scheduler objected (`ready`, `names`, `taints`, `constraints`, `volumes`, `antiAffinity`, `affinity`, `spread`, `memory`, `cpu`, `containers`, `ports`). */
export const NodeRefusal = z.object({node: z.string(), reason: z.string(), filter: z.string().optional()});

/** app → scheduler: place a batch, or say why not. */
export const place = defineRequest({
  subject: 'scheduler.place',
  request: z.object({
    requests: z.array(PlacementRequest).max(1000),
    /** Containers about to go, whose room counts as free. */
    ignore: z.array(z.string()).default([]),
    /** As if nothing were placed and every node were ready: could it ever fit? */
    onEmpty: z.boolean().default(false),
    /** The view that answers holds at least the store's revision `n`: the asker's own last commit. */
    atLeast: z.number().int().nonnegative().default(0),
  }),
  reply: z.object({
    placements: z.array(z.object({id: z.string(), node: z.string(), ports: z.array(PortBinding)})),
    refusals: z.array(z.object({id: z.string(), nodes: z.array(NodeRefusal)})),
    /** Machines with fewer of the app that some were put beside others in spite of, and why; absent: none, or an earlier release answers. */
    passedOver: z.array(NodeRefusal).optional(),
    /** Version of the allocation record of each node placed on, as seen (0: none yet); the commit compares them. */
    allocationVersions: z.record(z.string(), z.number()),
  }),
});

// --- assignments: app ↔ agent -----------------------------------------------------------------------------------------

/** app → agent: your assignment changed. */
export const assignmentChanged = defineMessage({subject: 'assignment.{node}.changed', message: z.object({version: z.number().int()})});

/** agent → app: the whole list. `revision` is the store's when it was read (law 12); `version` the record's own. */
export const getAssignment = defineRequest({
  subject: 'assignment.{node}.get',
  /** `known`: `id@generation` of bodies that the agent has; they are left out of the answer. */
  request: z.object({session: z.number().int(), known: z.array(z.string()).max(1000).optional()}),
  reply: z.object({
    cluster: z.string(),
    revision: RevisionSchema,
    version: z.number().int(),
    containers: z.array(z.object({id: z.string(), generation: z.number().int()})),
    /** Bodies of the first containers, so that a small assignment needs one round trip; the rest by `getContainers`. */
    bodies: z.array(ContainerRecord),
    /** What the node holds may not be removed before the control plane has adopted it. */
    hold: z.boolean(),
  }),
});
export const getContainers = defineRequest({
  subject: 'assignment.{node}.bodies',
  request: z.object({ids: z.array(z.string()).max(50)}),
  reply: z.object({containers: z.array(ContainerRecord)}),
});
/** agent → app: file contents of configs that its containers mount; values base64. */
export const getConfigs = defineRequest({
  subject: 'assignment.{node}.configs',
  request: z.object({configs: z.array(z.object({namespace: z.string(), name: z.string()}))}),
  reply: z.object({configs: z.array(z.object({namespace: z.string(), name: z.string(), data: z.record(z.string(), z.string())})), missing: z.array(z.object({namespace: z.string(), name: z.string()}))}),
});
/**
 * agent → app: containers of this cluster that the machine runs but the assignment does not list, held until adopted. An
 * empty report says that there are none (left). `accepted`: they are known now, and the assignment's `hold` decides; false:
 * they have just been adopted, so remove nothing and fetch the assignment again.
 */
export const reportStrangers = defineRequest({
  subject: 'assignment.{node}.strangers',
  request: z.object({session: z.number().int(), containers: z.array(z.object({id: z.string(), running: z.boolean(), origin: z.unknown()}))}),
  reply: z.object({accepted: z.boolean()}),
});

// --- node -------------------------------------------------------------------------------------------------------------

/** agent → node manager, at start and after a lost session. */
export const registerNode = defineRequest({
  subject: 'node.{node}.register',
  request: z.object({report: NodeReport, instance: z.string()}),
  reply: z.object({cluster: z.string(), session: z.number().int(), heartbeatMs: z.number().int()}),
});
/** agent → node manager. `session-expired` (409): register again. */
export const heartbeat = defineRequest({
  subject: 'node.{node}.heartbeat',
  request: z.object({session: z.number().int(), report: NodeReport.optional()}),
  /** ms until the next; as at registration when absent. */
  reply: z.object({heartbeatMs: z.number().int().optional()}),
});

/** agent → node manager: credentials of the bus for another while, before those it has (`jwt`) run out. `validMs`: from now. `node-removed` (403). */
export const renewCredentials = defineRequest({subject: 'node.{node}.credentials', request: z.object({jwt: z.string().optional(), sealKey: z.string().optional()}), reply: z.object({jwt: z.string(), validMs: z.number().positive()})});

// --- container --------------------------------------------------------------------------------------------------------

/** agent → container manager. `full`: everything the node has; what it does not name is gone. Refused (409 `session-expired`) under an old session. */
export const reportStatus = defineRequest({
  subject: 'container.{node}.status',
  request: z.object({
    session: z.number().int(),
    /** Counts the reports of a session: an older one that comes late changes nothing. Absent from agents that do not count. */
    sequence: z.number().int().nonnegative().optional(),
    full: z.boolean(),
    containers: z.array(z.object({id: z.string(), namespace: z.string(), app: z.string(), status: ContainerStatus})).max(500),
    events: z.array(EventRecord).max(500).default([]),
  }),
  reply: Empty,
});

export const LogOptions = z.object({
  /** Last lines to begin with; all when absent. */
  tail: z.number().int().nonnegative().optional(),
  /** RFC 3339: nothing older. */
  since: z.string().optional(),
  until: z.string().optional(),
  follow: z.boolean().default(false),
});
/** Logs of one container: bytes are NDJSON of {@link LogLine}. */
export const streamLogs = defineStream({subject: 'container.{node}.logs', params: LogOptions.extend({id: z.string()}), controlOut: None, controlIn: None});
export const LogLine = z.object({time: z.string(), container: z.string(), node: z.string(), stream: z.enum(['stdout', 'stderr']), line: z.string()});
export type LogLine = z.infer<typeof LogLine>;

/**
 * Run a command in a container, or attach to its main process when `command` is absent. Bytes in: stdin. Bytes out: frames of
 * one channel byte (1 stdout, 2 stderr), the length in four bytes, big-endian, and the data; a stream may cut chunks anywhere.
 */
export const execStream = defineStream({
  subject: 'container.{node}.exec',
  params: z.object({id: z.string(), command: z.array(z.string()).min(1).optional(), tty: z.boolean().default(false), stdin: z.boolean().default(false), env: z.record(z.string(), z.string()).default({}), user: z.string().optional(), workdir: z.string().optional(), columns: z.number().int().optional(), rows: z.number().int().optional()}),
  controlOut: z.object({exitCode: z.number().int()}),
  controlIn: z.object({columns: z.number().int().min(1).max(10_000), rows: z.number().int().min(1).max(10_000)}),
});

/** Units: cpu in millicores used, bytes, packets not counted. */
export const ContainerStats = z.object({id: z.string(), time: z.string(), cpu: z.number(), memory: z.number(), memoryLimit: z.number(), networkIn: z.number(), networkOut: z.number(), blockRead: z.number(), blockWrite: z.number(), pids: z.number()});
export type ContainerStats = z.infer<typeof ContainerStats>;
export const getStats = defineRequest({subject: 'container.{node}.stats', request: z.object({ids: z.array(z.string()).max(500)}), reply: z.object({stats: z.array(ContainerStats)}), timeoutMs: 10_000});

/** container manager → agent: stop and start the container again now, whatever its back-off. */
export const restartContainer = defineRequest({subject: 'container.{node}.restart', request: z.object({id: z.string()}), reply: Empty, timeoutMs: 60_000});

export const ImageInfo = z.object({id: z.string(), tags: z.array(z.string()), digests: z.array(z.string()), size: z.number(), createdAt: z.string(), node: z.string()});
export type ImageInfo = z.infer<typeof ImageInfo>;
export const listImages = defineRequest({subject: 'container.{node}.images', request: Empty, reply: z.object({images: z.array(ImageInfo)}), timeoutMs: 15_000});
export const RegistryCredentials = z.object({username: z.string(), password: z.string(), registry: z.string().optional()});
export const PullProgress = z.object({status: z.string(), layer: z.string().optional(), current: z.number().optional(), total: z.number().optional(), error: z.string().optional(), done: z.boolean().optional()});
/** Pull an image: bytes out are NDJSON of {@link PullProgress}. `credentials` are sent only over a connection that is private to the control plane. */
export const pullImage = defineStream({subject: 'container.{node}.pull', params: z.object({image: z.string(), credentials: RegistryCredentials.optional()}), controlOut: None, controlIn: None});
/** Build an image from a tar sent as bytes in; bytes out are NDJSON of {@link PullProgress}. */
export const buildImage = defineStream({subject: 'container.{node}.build', params: z.object({tag: z.string(), dockerfile: z.string().default('Dockerfile'), args: z.record(z.string(), z.string()).default({}), target: z.string().optional(), labels: z.record(z.string(), z.string()).default({}), noCache: z.boolean().default(false), extraHosts: z.array(z.string()).default([])}), controlOut: None, controlIn: None});
/** Images of an archive sent as bytes in; bytes out are NDJSON of {@link PullProgress}. */
export const importImages = defineStream({subject: 'container.{node}.import', params: Empty, controlOut: None, controlIn: None});
/** Bytes out are an archive. */
export const exportImage = defineStream({subject: 'container.{node}.export', params: z.object({image: z.string()}), controlOut: None, controlIn: None});
export const removeImage = defineRequest({subject: 'container.{node}.remove-image', request: z.object({image: z.string()}), reply: Empty, timeoutMs: 60_000});

// --- storage ----------------------------------------------------------------------------------------------------------

export const VolumeUsage = z.object({namespace: z.string(), name: z.string(), bytes: z.number(), path: z.string()});
export const volumeUsage = defineRequest({subject: 'storage.{node}.usage', request: z.object({volumes: z.array(z.object({namespace: z.string(), name: z.string()}))}), reply: z.object({volumes: z.array(VolumeUsage)}), timeoutMs: 30_000});
export const removeVolume = defineRequest({subject: 'storage.{node}.remove', request: z.object({namespace: z.string(), name: z.string()}), reply: Empty, timeoutMs: 30_000});
/** app → storage, with a placement: these volumes are used on this node from now on (made when missing). */
export const claimVolumes = defineRequest({subject: 'storage.claim', request: z.object({claims: z.array(z.object({namespace: z.string(), name: z.string(), node: z.string()}))}), reply: Empty});

// --- deployment -------------------------------------------------------------------------------------------------------

/** app → deployment: how would this change proceed? For plans. */
export const explainStrategy = defineRequest({
  subject: 'deployment.strategy',
  request: z.object({spec: AppSpec}),
  reply: z.object({strategy: z.enum(['rolling', 'recreate', 'stop-first']), because: z.string().optional()}),
});

// --- app --------------------------------------------------------------------------------------------------------------

/** any manager → app: put another container in the place of this one, which is stopped. `not-found` (404). */
export const replaceContainer = defineRequest({subject: 'app.replace', request: z.object({id: z.string()}), reply: Empty});
