/** What a person asks for: the app spec of the public contract, with its defaults. */
import * as z from 'zod';
import {AppService} from './discovery.ts';
import {DnsLabel, DnsName, HostAlias, LabelKey} from './names.ts';
import {Cpu, cpuMillicores, Duration, Memory, memoryBytes} from './quantity.ts';

const Port = z.number().int().min(1, 'is out of range: ports are 1 to 65535').max(65_535, 'is out of range: ports are 1 to 65535');
const AbsolutePath = z.string().min(1).max(4096).regex(/^\//, 'is not an absolute path: begin it with /');

/** A value in the environment: plain text, or one key of a secret or config of the namespace. */
export const EnvValue = z.union([
  z.string().max(131_072),
  z.number().transform(String),
  z.boolean().transform(String),
  z.strictObject({secret: DnsLabel, key: z.string().min(1).max(253)}),
  z.strictObject({config: DnsLabel, key: z.string().min(1).max(253)}),
]);
export type EnvValue = z.infer<typeof EnvValue>;

/** One file from one key of a config or secret. `mode` is octal text. */
export const FileMount = z.strictObject({
  mount: AbsolutePath,
  config: DnsLabel.optional(),
  secret: DnsLabel.optional(),
  key: z.string().min(1).max(253),
  mode: z.string().regex(/^0?[0-7]{3}$/, 'is not a file mode: write three octal digits, as in 0444').default('0444'),
  uid: z.number().int().nonnegative().optional(),
  gid: z.number().int().nonnegative().optional(),
}).refine((file) => (file.config === undefined) !== (file.secret === undefined), {message: 'needs exactly one of config and secret'});

/** A published port. `host`: a port of the machine, 0 for any free one, or a range `8081-8090` from which one is taken. */
export const PortSpec = z.strictObject({
  name: DnsLabel.optional(),
  container: Port,
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
  host: z.union([
    z.number().int().min(0, 'is out of range: ports are 1 to 65535, or 0 for any free one').max(65_535, 'is out of range: ports are 1 to 65535, or 0 for any free one'),
    z.string().regex(/^\d{1,5}-\d{1,5}$/, 'is not a port range: write it as in 8081-8090'),
  ]).optional(),
  /** Address of the machine to bind; all when absent. */
  address: z.union([z.ipv4(), z.ipv6()]).optional(),
});
export type PortSpec = z.infer<typeof PortSpec>;

export const Resources = z.strictObject({
  cpu: Cpu.optional(),
  memory: Memory.optional(),
  cpuLimit: Cpu.optional(),
  memoryLimit: Memory.optional(),
  disk: Memory.optional(),
  /** Most processes in the container. */
  pids: z.number().int().positive().optional(),
}).superRefine(({cpu, cpuLimit, memory, memoryLimit}, context) => {
  if (cpu !== undefined && cpuLimit !== undefined && cpuMillicores(cpu) > cpuMillicores(cpuLimit)) context.addIssue({code: 'custom', path: ['cpu'], message: `is more than cpuLimit (${cpuLimit}): ask for no more than may be used`});
  if (memory !== undefined && memoryLimit !== undefined && memoryBytes(memory) > memoryBytes(memoryLimit)) context.addIssue({code: 'custom', path: ['memory'], message: `is more than memoryLimit (${memoryLimit}): ask for no more than may be used`});
});

const HttpHeaders = z.record(z.string(), z.string());
const probeFields = {
  http: z.strictObject({path: z.string().regex(/^\//, 'begins with /').default('/'), port: Port, headers: HttpHeaders.optional()}).optional(),
  tcp: z.strictObject({port: Port}).optional(),
  exec: z.array(z.string()).min(1).optional(),
  grpc: z.strictObject({port: Port, service: z.string().optional()}).optional(),
  /** Time between the start of two probes. */
  interval: Duration.default('10s'),
  timeout: Duration.default('1s'),
  /** In a row, until it counts as failed. */
  failures: z.number().int().min(1).max(1000).default(3),
  /** In a row, until it counts as succeeded. */
  successes: z.number().int().min(1).max(1000).default(1),
  /** Wait before the first probe. */
  delay: Duration.default('0s'),
};
export const Probe = z.strictObject(probeFields).refine(
  (probe) => [probe.http, probe.tcp, probe.exec, probe.grpc].filter((action) => action !== undefined).length === 1,
  {message: 'needs exactly one of http, tcp, exec and grpc'},
);
export type Probe = z.infer<typeof Probe>;

export const HealthSpec = z.strictObject({startup: Probe.optional(), readiness: Probe.optional(), liveness: Probe.optional()});
export type HealthSpec = z.infer<typeof HealthSpec>;

/** A named volume (`name`) or a directory of the machine (`host`), mounted at `mount`; or memory (`tmpfs: true`). */
export const VolumeMount = z.strictObject({
  name: DnsLabel.optional(),
  host: AbsolutePath.optional(),
  tmpfs: z.boolean().optional(),
  /** Most bytes of a tmpfs. */
  size: Memory.optional(),
  mount: AbsolutePath,
  readOnly: z.boolean().default(false),
}).refine((volume) => [volume.name, volume.host, volume.tmpfs === true ? true : undefined].filter((source) => source !== undefined).length === 1, {
  message: 'needs exactly one of name (a volume), host (a directory of the machine) and tmpfs: true',
});
export type VolumeMount = z.infer<typeof VolumeMount>;

const LimitValue = z.number().int('is not a whole number').min(-1, 'is below -1, which is: without limit');
/** Of one process: both limits at once, or the one that warns and the one that it may be raised to. -1: without limit. */
export const Ulimit = z.union([LimitValue, z.strictObject({soft: LimitValue, hard: LimitValue}).refine(({soft, hard}) => hard === -1 || (soft !== -1 && soft <= hard), {message: 'has a soft limit above its hard one'})]);
export type Ulimit = z.infer<typeof Ulimit>;
const ulimit = Ulimit.optional();
/** As setrlimit(2) names them, in small letters without RLIMIT_. */
export const Ulimits = z.strictObject({
  core: ulimit, cpu: ulimit, data: ulimit, fsize: ulimit, locks: ulimit, memlock: ulimit, msgqueue: ulimit, nice: ulimit,
  nofile: ulimit, nproc: ulimit, rss: ulimit, rtprio: ulimit, rttime: ulimit, sigpending: ulimit, stack: ulimit,
});
export type Ulimits = z.infer<typeof Ulimits>;

/** The limits that are given, by name. */
export function ulimitsOf(ulimits: Ulimits): readonly {readonly name: string; readonly soft: number; readonly hard: number}[] {
  return Object.entries(ulimits).flatMap(([name, limit]) => (limit === undefined ? [] : [{name, ...(typeof limit === 'number' ? {soft: limit, hard: limit} : limit)}]));
}

/** A device of the machine (`host`), or all in a folder of them, in the container at `mount`: the same path when absent. */
export const DeviceSpec = z.strictObject({
  host: z.string().max(4096).regex(/^\/dev(\/(?!\.\.?(\/|$))[^/]+)+$/, 'is not a device: write a path below /dev'),
  mount: AbsolutePath.optional(),
  /** Read, write, make (mknod). */
  permissions: z.string().regex(/^(?=.)r?w?m?$/, 'is none of r, w and m, in this order').default('rwm'),
});
export type DeviceSpec = z.infer<typeof DeviceSpec>;

export const Constraint = z.strictObject({
  label: LabelKey,
  in: z.array(z.string()).min(1).optional(),
  notIn: z.array(z.string()).min(1).optional(),
  exists: z.literal(true).optional(),
  missing: z.literal(true).optional(),
  gt: z.number().optional(),
  lt: z.number().optional(),
}).refine((constraint) => Object.values(constraint).filter((value) => value !== undefined).length === 2, {message: 'needs exactly one of in, notIn, exists, missing, gt and lt'});
export type Constraint = z.infer<typeof Constraint>;

/** `node` (each machine for itself), or the key of a label that machines of one place share, as in `zone`. */
const Topology = LabelKey;
/** Near, or away from, the containers of an app of the namespace. A preference of this weight (1 to 100; 50), or required. */
const Affinity = z.strictObject({app: DnsLabel, topology: Topology.default('node'), weight: z.number().min(1).max(100).optional(), required: z.boolean().optional()});
export type Affinity = z.infer<typeof Affinity>;
/** Takes a taint of this key (`*`: of any), of that value and effect where they are given. */
export const Toleration = z.strictObject({key: z.union([z.literal('*'), LabelKey]), value: z.string().max(255).optional(), effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional()});
export type Toleration = z.infer<typeof Toleration>;
/** `best-fit` fills machines up, `worst-fit` evens them out, `first-fit` goes by name, `random` by chance. */
export const placementStrategies = ['best-fit', 'worst-fit', 'first-fit', 'random'] as const;
export type PlacementStrategy = (typeof placementStrategies)[number];

export const Placement = z.strictObject({
  nodes: z.array(z.string()).optional(),
  constraints: z.array(Constraint).optional(),
  affinity: z.array(Affinity).optional(),
  antiAffinity: z.array(Affinity).optional(),
  /** Containers of the app in one place are at most `maxSkew` more than in any other that can take them. */
  spread: z.array(z.strictObject({topology: Topology, maxSkew: z.number().int().min(1)})).optional(),
  tolerations: z.array(Toleration).optional(),
  strategy: z.enum(placementStrategies, `is not a strategy: use one of ${placementStrategies.join(', ')}`).optional(),
  priorityClass: z.string().optional(),
});

export const RestartSpec = z.strictObject({
  policy: z.enum(['always', 'on-failure', 'never']).default('always'),
  backoff: z.strictObject({initial: Duration.default('1s'), max: Duration.default('60s')}).prefault({}),
  /** on-failure: restarts before giving up; without limit when absent. */
  attempts: z.number().int().nonnegative().optional(),
});
export type RestartSpec = z.infer<typeof RestartSpec>;

export const UpdateSpec = z.strictObject({
  strategy: z.enum(['rolling', 'recreate']).default('rolling'),
  maxSurge: z.number().int().min(0).max(1000).default(1),
  maxUnavailable: z.number().int().min(0).max(1000).default(0),
  /** A new container counts as good after it was ready for so long. */
  healthyFor: Duration.default('5s'),
  /** Time for the whole rollout to make progress; past it, it fails. */
  deadline: Duration.default('5m'),
  autoRollback: z.boolean().default(true),
}).refine((update) => update.strategy === 'recreate' || update.maxSurge + update.maxUnavailable > 0, {message: 'maxSurge and maxUnavailable cannot both be 0: nothing could move'});
export type UpdateSpec = z.infer<typeof UpdateSpec>;

export const StopSpec = z.strictObject({
  signal: z.string().regex(/^SIG[A-Z0-9+]+$/, 'is not a signal name, as in SIGTERM').default('SIGTERM'),
  /** From the signal until it is killed. */
  grace: Duration.default('10s'),
  /**
   * What is removed gets its signal when no machine leads anybody to it and its connections are over, at the latest after so long.
   * `0s`: at once.
   */
  drain: Duration.default('10s'),
});

/** How an image is fetched. `missing`: only when the machine does not have it. */
export const PullSpec = z.strictObject({
  policy: z.enum(['missing', 'always', 'never']).default('missing'),
  /** Secret of the namespace with keys `username` and `password`. */
  secret: DnsLabel.optional(),
});

/** Part of the spec that makes a revision: a change here replaces containers. */
export const templateFields = {
  image: z.string().min(1).max(1024).regex(/^\S+$/, 'has white space in it'),
  pull: PullSpec.prefault({}),
  /** Entrypoint; the image's when absent. */
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workdir: z.string().optional(),
  user: z.string().optional(),
  hostname: DnsName.optional(),
  init: z.boolean().optional(),
  tty: z.boolean().optional(),
  readOnlyRoot: z.boolean().optional(),
  privileged: z.boolean().optional(),
  capabilities: z.strictObject({add: z.array(z.string()).optional(), drop: z.array(z.string()).optional()}).optional(),
  sysctls: z.record(z.string(), z.string()).optional(),
  /** Where absent: as the engine has them. */
  ulimits: Ulimits.optional(),
  /** Most bytes of /dev/shm; 64Mi when absent. They count as the container's memory. */
  shmSize: Memory.optional(),
  devices: z.array(DeviceSpec).optional(),
  /** Groups of the image, or their numbers, that its processes are in beside the user's own. */
  groups: z.array(z.string().regex(/^[^\s:]+$/, 'is not a group: write a name of the image, or a number')).optional(),
  extraHosts: z.record(z.string(), z.string()).optional(),
  dns: z.array(z.string()).optional(),
  env: z.record(z.string().min(1).regex(/^[^=\0]+$/, 'has = in it'), EnvValue).default({}),
  files: z.array(FileMount).default([]),
  ports: z.array(PortSpec).default([]),
  resources: Resources.default({}),
  health: HealthSpec.default({}),
  volumes: z.array(VolumeMount).default([]),
  /** Names on the namespace's network beside the app's own. */
  aliases: z.array(HostAlias).default([]),
  /** Engine networks within the namespace; every app is on `default` when empty. */
  networks: z.array(DnsLabel).default([]),
  restart: RestartSpec.prefault({}),
  stop: StopSpec.prefault({}),
  placement: Placement.default({}),
  /** Never two at once, also across a partition. */
  singleton: z.boolean().optional(),
  /** How that is kept: a copy that is cut off is stopped after `lease` (`stop`), or runs on until a person vouches that its machine is off (`keep`). */
  fencing: z.strictObject({lease: Duration.optional(), onIsolation: z.enum(['stop', 'keep']).optional()}).optional(),
  /** Labels put on the container in the engine. */
  containerLabels: z.record(z.string(), z.string()).default({}),
} as const;

export const AppSpec = z.strictObject({
  ...templateFields,
  replicas: z.number().int('is not a whole number').min(0, 'is negative: write 0 or more').max(10_000, 'is more than 10000').default(1),
  autoscale: z.looseObject({}).optional(),
  mode: z.enum(['replicated', 'global', 'job', 'cron']).default('replicated'),
  dependsOn: z.record(DnsLabel, z.enum(['started', 'healthy', 'completed'])).default({}),
  update: UpdateSpec.prefault({}),
  service: AppService.optional(),
});
export type AppSpec = z.infer<typeof AppSpec>;
/** As written, before defaults. */
export type AppSpecInput = z.input<typeof AppSpec>;

/** What a container runs: the revision's part of the spec. */
export const ContainerTemplate = z.object(templateFields);
export type ContainerTemplate = z.infer<typeof ContainerTemplate>;

/** The revision's part of an app spec. */
export function templateOf(spec: AppSpec): ContainerTemplate {
  return ContainerTemplate.parse(spec);
}

/**
 * Fields that are part of the contract but not acted upon by this release: refused by name rather than ignored (law 14).
 * Shrinks as managers grow.
 */
export function unsupportedFields(spec: AppSpec): readonly {readonly path: string; readonly message: string}[] {
  const refused: {path: string; message: string}[] = [];
  const refuse = (path: string, when: boolean, way: string): void => {
    if (when) refused.push({path: `spec.${path}`, message: `is not acted upon yet; ${way}`});
  };
  refuse('autoscale', spec.autoscale !== undefined, 'set replicas instead');
  refuse('mode', spec.mode === 'cron', 'use replicated, global or job');
  refuse('service.strategy', spec.service?.strategy === 'least-connections', 'use round-robin, random, weighted or ip-hash; an ingress balances by connections');
  refuse('resources.disk', spec.resources.disk !== undefined, 'leave it out');
  for (const kind of ['startup', 'readiness', 'liveness'] as const) refuse(`health.${kind}.grpc`, spec.health[kind]?.grpc !== undefined, 'use http, tcp or exec');
  refuse('placement.priorityClass', spec.placement.priorityClass !== undefined, 'leave it out');
  return refused;
}
