/**
 * What is read of a Compose file, in canonical form (see canonical.ts). Keys that are known but not read are in
 * support.ts. After interpolation numbers and booleans may be text, so both are taken.
 */
import * as z from 'zod';

const Text = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]);
const NullableText = Text.nullable();
const Whole = z.union([z.number().int(), z.string().regex(/^-?\d+$/, 'is not a whole number').transform(Number)]);
const Amount = z.union([z.number(), z.string().regex(/^\d+(\.\d+)?$/, 'is not a number').transform(Number)]);
const Flag = z.union([z.boolean(), z.string().regex(/^(true|false|yes|no|on|off|y|n)$/i, 'is not true or false').transform((text) => /^(true|yes|on|y)$/i.test(text))]);
const Size = z.union([z.string(), z.number()]);
const Time = z.union([z.string(), z.number()]);
const Command = z.union([z.string(), z.array(Text)]).nullish();
const Pairs = z.record(z.string(), NullableText).nullish();
const Texts = z.array(Text).nullish();

export const LongPort = z.object({
  name: z.string().optional(),
  target: z.union([z.number(), z.string()]),
  published: z.union([z.number(), z.string()]).optional(),
  host_ip: z.string().optional(),
  protocol: z.string().optional(),
});
export type LongPort = z.infer<typeof LongPort>;

export const LongMount = z.object({
  type: z.string(),
  source: z.string().optional(),
  target: z.string(),
  read_only: Flag.optional(),
  bind: z.object({create_host_path: Flag.optional()}).nullish(),
  tmpfs: z.object({size: Size.optional()}).nullish(),
});
export type LongMount = z.infer<typeof LongMount>;

/** `0440` in YAML is 288 by now (yaml.ts); as text it is octal digits. */
const FileMode = z.union([z.number().int().min(0), z.string().regex(/^(0o?)?[0-7]{3,4}$/, 'is not a file mode: write octal digits, as in 0440').transform((text) => Number.parseInt(text.replace('o', ''), 8))]);

export const FileReference = z.object({
  source: z.string(),
  target: z.string().optional(),
  uid: Whole.optional(),
  gid: Whole.optional(),
  mode: FileMode.optional(),
});
export type FileReference = z.infer<typeof FileReference>;

export const Healthcheck = z.object({
  test: z.union([z.string(), z.array(Text)]).nullish(),
  interval: Time.nullish(),
  timeout: Time.nullish(),
  retries: Whole.nullish(),
  start_period: Time.nullish(),
  start_interval: Time.nullish(),
  disable: Flag.nullish(),
});
export type Healthcheck = z.infer<typeof Healthcheck>;

export const Build = z.object({
  context: z.string(),
  dockerfile: z.string().optional(),
  dockerfile_inline: z.string().optional(),
  args: Pairs,
  target: z.string().optional(),
  labels: Pairs,
  no_cache: Flag.default(false),
  extra_hosts: z.record(z.string(), z.union([Text, z.array(Text)])).nullish(),
});
export type Build = z.infer<typeof Build>;

export const DeployLimits = z.object({cpus: Amount.optional(), memory: Size.optional(), pids: Whole.optional()});
export const DeployReservations = z.object({cpus: Amount.optional(), memory: Size.optional()});
export const UpdateConfig = z.object({
  parallelism: Whole.optional(),
  order: z.enum(['start-first', 'stop-first']).default('stop-first'),
  failure_action: z.enum(['continue', 'rollback', 'pause']).default('pause'),
  monitor: Time.optional(),
});
export type UpdateConfig = z.infer<typeof UpdateConfig>;
export const RestartPolicy = z.object({
  condition: z.enum(['none', 'on-failure', 'any', 'unless-stopped']).default('any'),
  delay: Time.optional(),
  max_attempts: Whole.optional(),
});
export type RestartPolicy = z.infer<typeof RestartPolicy>;
export const Deploy = z.object({
  mode: z.enum(['replicated', 'global', 'replicated-job', 'global-job']).default('replicated'),
  replicas: Whole.optional(),
  labels: Pairs,
  resources: z.object({limits: DeployLimits.nullish(), reservations: DeployReservations.nullish()}).nullish(),
  update_config: UpdateConfig.nullish(),
  restart_policy: RestartPolicy.nullish(),
  placement: z.object({constraints: z.array(z.string()).nullish()}).nullish(),
});
export type Deploy = z.infer<typeof Deploy>;

export const Dependency = z.object({
  condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']).default('service_started'),
  required: Flag.default(true),
});
export const NetworkAttachment = z.object({aliases: z.array(z.string()).nullish()});
export const EnvFile = z.object({path: z.string(), required: Flag.default(true), format: z.enum(['raw']).optional()});

const Ulimit = z.union([Whole, z.object({soft: Whole, hard: Whole})]);
export const LongDevice = z.object({source: z.string(), target: z.string().optional(), permissions: z.string().optional()});
export type LongDevice = z.infer<typeof LongDevice>;

export const Service = z.object({
  image: z.string().nullish(),
  build: Build.nullish(),
  command: Command,
  entrypoint: Command,
  user: Text.nullish(),
  working_dir: z.string().nullish(),
  environment: Pairs,
  env_file: z.array(EnvFile).nullish(),
  ports: z.array(z.union([z.string(), z.number(), LongPort])).nullish(),
  expose: z.array(z.union([z.string(), z.number()])).nullish(),
  volumes: z.array(z.union([z.string(), LongMount])).nullish(),
  tmpfs: z.array(z.string()).nullish(),
  networks: z.record(z.string(), NetworkAttachment.nullable()).nullish(),
  network_mode: z.string().nullish(),
  links: z.array(z.string()).nullish(),
  profiles: z.array(z.string()).nullish(),
  healthcheck: Healthcheck.nullish(),
  depends_on: z.record(z.string(), Dependency).nullish(),
  deploy: Deploy.nullish(),
  restart: z.string().nullish(),
  scale: Whole.nullish(),
  stop_grace_period: Time.nullish(),
  stop_signal: Text.nullish(),
  init: Flag.nullish(),
  tty: Flag.nullish(),
  read_only: Flag.nullish(),
  privileged: Flag.nullish(),
  cap_add: Texts,
  cap_drop: Texts,
  sysctls: Pairs,
  ulimits: z.record(z.string(), Ulimit).nullish(),
  shm_size: Size.nullish(),
  devices: z.array(z.union([z.string(), LongDevice])).nullish(),
  group_add: Texts,
  extra_hosts: z.record(z.string(), z.union([NullableText, z.array(Text)])).nullish(),
  dns: Texts,
  hostname: z.string().nullish(),
  container_name: z.string().nullish(),
  cpus: Amount.nullish(),
  mem_limit: Size.nullish(),
  mem_reservation: Size.nullish(),
  pids_limit: Whole.nullish(),
  labels: Pairs,
  label_file: z.array(z.string()).nullish(),
  configs: z.array(FileReference).nullish(),
  secrets: z.array(FileReference).nullish(),
  pull_policy: z.string().nullish(),
});
export type Service = z.infer<typeof Service>;

const External = z.union([Flag, z.object({name: z.string().optional()})]).optional();
export const NamedVolume = z.object({external: External, name: z.string().optional(), driver: z.string().optional(), labels: Pairs});
export const Network = z.object({external: External, driver: z.string().optional()});
export const Source = z.object({
  file: z.string().optional(),
  environment: z.string().optional(),
  content: z.string().optional(),
  external: External,
  name: z.string().optional(),
});
export type Source = z.infer<typeof Source>;

export const ComposeFile = z.object({
  name: z.string().nullish(),
  version: Text.nullish(),
  services: z.record(z.string(), Service.nullable()).nullish(),
  volumes: z.record(z.string(), NamedVolume.nullable()).nullish(),
  networks: z.record(z.string(), Network.nullable()).nullish(),
  configs: z.record(z.string(), Source).nullish(),
  secrets: z.record(z.string(), Source).nullish(),
});
export type ComposeFile = z.infer<typeof ComposeFile>;

/** `external: true`, or its old form with the name inside. */
export function isExternal(external: z.infer<typeof External>): boolean {
  return external !== undefined && external !== false;
}
