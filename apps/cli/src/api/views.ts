/** What the command shows of each resource. Fields that it does not know are left alone: the server may be newer. */
import * as z from 'zod';

const Meta = z.object({uid: z.string().default(''), version: z.number().default(0), generation: z.number().default(0), createdAt: z.string().default(''), updatedAt: z.string().default('')});
const named = {name: z.string(), namespace: z.string().default(''), labels: z.record(z.string(), z.string()).default({}), meta: Meta.prefault({})};
const Condition = z.object({type: z.string(), status: z.string(), reason: z.string(), message: z.string(), since: z.string().default('')});
const Quantity = z.union([z.string(), z.number()]);
export const Port = z.object({name: z.string().optional(), container: z.number(), protocol: z.string().default('tcp'), host: z.number().optional(), address: z.string().optional()});

export const AppView = z.object({
  ...named,
  spec: z.looseObject({image: z.string(), mode: z.string().default('replicated'), replicas: z.number().default(1)}),
  status: z.object({
    phase: z.string(),
    replicas: z.object({desired: z.number(), running: z.number(), ready: z.number(), updated: z.number()}),
    revision: z.number(),
    endpoints: z.array(z.object({node: z.string(), address: z.string(), port: z.number()})).default([]),
    conditions: z.array(Condition).default([]),
  }),
});
export type AppView = z.infer<typeof AppView>;

export const ContainerView = z.object({
  ...named,
  spec: z.object({app: z.string(), node: z.string(), revision: z.number(), image: z.string().default('')}),
  status: z.object({
    phase: z.string(),
    ready: z.boolean().default(false),
    ip: z.string().optional(),
    ports: z.array(Port).default([]),
    restarts: z.number().default(0),
    exitCode: z.number().optional(),
    reason: z.string().default(''),
    message: z.string().default(''),
    startedAt: z.string().optional(),
    nextAttemptAt: z.string().optional(),
    lastLogs: z.array(z.string()).optional(),
    progress: z.string().optional(),
  }),
});
export type ContainerView = z.infer<typeof ContainerView>;

export const RevisionView = z.object({revision: z.number(), current: z.boolean().default(false), createdAt: z.string(), cause: z.string(), image: z.string().default('')});

export const DrainView = z.object({
  done: z.boolean(),
  total: z.number(),
  blocked: z.array(z.object({container: z.string(), namespace: z.string().default(''), app: z.string().default(''), reason: z.string(), message: z.string()})).default([]),
});

export const NodeView = z.object({
  ...named,
  spec: z.object({unschedulable: z.boolean().default(false), address: z.string().default(''), taints: z.array(z.object({key: z.string(), value: z.string().optional(), effect: z.string()})).default([])}),
  status: z.object({
    phase: z.string(),
    drain: DrainView.optional(),
    capacity: z.object({cpu: z.number(), memory: z.number(), disk: z.number().default(0), diskFree: z.number().optional()}),
    allocated: z.object({cpu: z.number(), memory: z.number(), containers: z.number()}).optional(),
    runtime: z.object({name: z.string(), version: z.string(), available: z.boolean(), message: z.string().optional()}),
    agentVersion: z.string().default(''),
    lastSeenAt: z.string().default(''),
    conditions: z.array(Condition).default([]),
  }),
});
export type NodeView = z.infer<typeof NodeView>;

export const DeploymentView = z.object({
  ...named,
  spec: z.object({app: z.string(), revision: z.number(), previous: z.number().nullable().default(null), strategy: z.string()}),
  status: z.object({
    phase: z.string(), reason: z.string().default(''), message: z.string().default(''), startedAt: z.string().default(''), finishedAt: z.string().optional(),
    desired: z.number().default(0), updated: z.number().default(0), ready: z.number().default(0),
  }),
});
export type DeploymentView = z.infer<typeof DeploymentView>;

export const VolumeView = z.object({
  ...named,
  spec: z.object({driver: z.string().default('local'), size: Quantity.optional()}),
  status: z.object({phase: z.string(), message: z.string().optional(), node: z.string().optional(), usedBy: z.array(z.string()).default([])}),
});
export type VolumeView = z.infer<typeof VolumeView>;

const ServicePort = z.object({name: z.string().optional(), port: z.number(), protocol: z.string().default('tcp')});
export const ServiceView = z.object({
  ...named,
  spec: z.object({headless: z.boolean().default(false), domain: z.string().optional(), ports: z.array(ServicePort).default([])}),
  status: z.object({phase: z.string(), virtualIp: z.string().optional(), endpoints: z.object({total: z.number(), ready: z.number()}), names: z.array(z.string()).default([]), conditions: z.array(Condition).default([])}),
});
export const EndpointView = z.object({
  ...named,
  spec: z.object({node: z.string(), address: z.string(), ports: z.array(ServicePort).default([]), revision: z.number(), weight: z.number().default(100)}),
  status: z.object({ready: z.boolean(), reason: z.string()}),
});
export const ResolutionView = z.object({
  answers: z.array(z.object({name: z.string(), type: z.string(), answer: z.array(z.string()), because: z.string()})).default([]),
  endpoints: z.array(z.object({container: z.string(), node: z.string(), inRotation: z.boolean(), because: z.string()})).default([]),
});

/** Of a secret the keys alone are ever told. */
export const SecretView = z.object({...named, spec: z.object({keys: z.array(z.string()).default([])})});
export const ConfigView = z.object({...named, spec: z.object({data: z.record(z.string(), z.string()).default({}), encoding: z.string().default('text')})});
export const ImageView = z.object({id: z.string(), tags: z.array(z.string()).default([]), size: z.number().default(0), createdAt: z.string().default(''), node: z.string().default('')});
export const StatsView = z.object({id: z.string(), cpu: z.number(), memory: z.number(), memoryLimit: z.number().default(0), networkIn: z.number().default(0), networkOut: z.number().default(0), blockRead: z.number().default(0), blockWrite: z.number().default(0), pids: z.number().default(0)});
export type StatsView = z.infer<typeof StatsView>;
export const LogLineView = z.object({time: z.string().default(''), container: z.string().default(''), node: z.string().default(''), stream: z.string().default('stdout'), line: z.string()});
export const ProgressView = z.object({status: z.string().default(''), layer: z.string().optional(), current: z.number().optional(), total: z.number().optional(), error: z.string().optional(), done: z.boolean().optional()});
export type ProgressView = z.infer<typeof ProgressView>;

export const PlanView = z.object({
  app: z.string(),
  namespace: z.string(),
  action: z.string(),
  strategy: z.string().default('none'),
  because: z.string().optional(),
  fields: z.array(z.object({path: z.string(), before: z.unknown(), after: z.unknown()})).default([]),
  containers: z.array(z.object({action: z.string(), container: z.string().optional(), revision: z.number(), node: z.string().optional(), reason: z.string().optional()})).default([]),
  refusals: z.array(z.object({node: z.string(), reason: z.string()})).default([]),
});
export type PlanView = z.infer<typeof PlanView>;

/** Any resource, for what all have. */
export const ResourceView = z.object({...named, annotations: z.record(z.string(), z.string()).default({})});
export const Anything = z.unknown();
