/**
 * The runtime port: what the node's worker needs of a container engine. Drivers: Docker (`@hivemind/container`), and a
 * fake for tests; one contract suite holds them to the same behaviour. "Already done" is success everywhere.
 */
import type {ContainerRecord, ContainerStats, ImageInfo, LogLine, LogOptions, PortBinding, PullProgress, RegistryCredentials} from '@hivemind/contracts';
import type * as z from 'zod';

/** Everything a driver needs to make one container. Secrets and configs are resolved by now. */
export interface RuntimeSpec {
  readonly record: ContainerRecord;
  /** Name in the engine; the same for the same record, so that a create repeated after a crash finds the first. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Mounts added by hooks: named volumes as engine volumes, files as binds. */
  readonly mounts: readonly RuntimeMount[];
  /** Labels for the engine (`engineLabels`), beside the template's own. */
  readonly labels: Readonly<Record<string, string>>;
  /** Networks of the engine's own, which answers the aliases; with `network`, the one that it knows the machine's by. */
  readonly networks: readonly {readonly name: string; readonly aliases: readonly string[]}[];
  readonly network?: ContainerNetwork;
  readonly credentials?: z.infer<typeof RegistryCredentials>;
}

/** A bridge of the machine that all its containers are on, each at an address of its own for life. */
export interface ContainerNetwork {
  /** The bridge's interface. */
  readonly bridge: string;
  readonly subnet: string;
  /** The bridge's own address. */
  readonly gateway: string;
  /** The part of the subnet from which the engine may give addresses to what is not ours. */
  readonly others: string;
  /** Bytes of a packet. */
  readonly mtu: number;
  /** The container's. */
  readonly address: string;
  /** The machine leads published ports to it, among others of its app; else the engine publishes them. */
  readonly publishes?: boolean;
  /** Where names are asked for. Without a server, the engine answers those of the machine's own containers, and asks as the machine does. */
  readonly dns: {readonly servers: readonly string[]; readonly search: readonly string[]; readonly options: readonly string[]};
}

export type RuntimeMount =
  | {readonly type: 'volume'; readonly source: string; readonly target: string; readonly readOnly: boolean; readonly labels: Readonly<Record<string, string>>}
  | {readonly type: 'bind'; readonly source: string; readonly target: string; readonly readOnly: boolean}
  | {readonly type: 'tmpfs'; readonly target: string; /** bytes */ readonly size?: number};

/** A container as the engine has it. */
export interface RuntimeContainer {
  /** The engine's id. */
  readonly runtimeId: string;
  /** Our id, from its label. */
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'created' | 'running' | 'paused' | 'exited' | 'dead';
  readonly pid?: number;
  readonly exitCode?: number;
  readonly oomKilled: boolean;
  /** The engine's own words when it could not be started. */
  readonly error?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly ip?: string;
  readonly ports: readonly PortBinding[];
}

export type RuntimeEvent =
  | {readonly type: 'started' | 'removed' | 'oom'; readonly id: string; readonly runtimeId: string}
  | {readonly type: 'exited'; readonly id: string; readonly runtimeId: string; readonly exitCode: number; readonly time: string}
  /** The connection to the engine came (back), or went: after `connected`, list again. */
  | {readonly type: 'connected' | 'disconnected'};

export interface ExecSession {
  /** Frames of the process's output until it ends. With a terminal, all is stdout. */
  readonly output: AsyncIterable<{readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array}>;
  write(data: Uint8Array): Promise<void>;
  endInput(): void;
  resize(columns: number, rows: number): Promise<void>;
  /** Resolves with the exit code; attach resolves with the container's. */
  readonly exitCode: Promise<number>;
  close(): void;
}

export interface ExecOptions {
  /** Absent: attach to the main process. */
  readonly command?: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  readonly columns?: number;
  readonly rows?: number;
}

export interface RuntimeInfo {
  readonly name: 'docker' | 'containerd' | 'fake';
  readonly version: string;
}

export interface BuildOptions {
  readonly tag: string;
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly noCache: boolean;
  readonly extraHosts: readonly string[];
}

/**
 * Errors (HivemindError codes of `runtimeErrors`): `runtime-unavailable` (503, retryable), `image-not-found`,
 * `image-pull-failed` (retryable), `image-unauthorized`, `port-in-use`, `container-not-found`, `runtime-conflict`,
 * `start-failed` (bad command, mount …: the message names it), `runtime-failed` (anything else the engine says).
 */
export interface Runtime {
  info(): Promise<RuntimeInfo>;
  /** Containers of this cluster, whatever their state. */
  list(): Promise<readonly RuntimeContainer[]>;
  /** By our id; undefined when the engine does not have it. */
  inspect(id: string): Promise<RuntimeContainer | undefined>;
  /** `image-not-found` when the image is not on the machine: the worker then pulls. Makes missing networks. Answers the engine's id. */
  create(spec: RuntimeSpec): Promise<string>;
  /** Answers what it is then where that is known without asking once more: it runs, unless an event says otherwise. */
  start(runtimeId: string): Promise<RuntimeContainer | undefined>;
  /** Signal, wait `graceMs`, kill. */
  stop(runtimeId: string, signal: string, graceMs: number): Promise<void>;
  remove(runtimeId: string): Promise<void>;
  /** Events of this cluster's containers, reconnecting by itself until aborted. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  logs(runtimeId: string, options: z.infer<typeof LogOptions>, signal: AbortSignal): AsyncIterable<Pick<LogLine, 'time' | 'stream' | 'line'>>;
  exec(runtimeId: string, options: ExecOptions): Promise<ExecSession>;
  stats(ids: readonly string[]): Promise<readonly ContainerStats[]>;
  images(): Promise<readonly Omit<ImageInfo, 'node'>[]>;
  /** Whether the machine has it. */
  hasImage(image: string): Promise<boolean>;
  /** Ids, as in `images`, of those that containers are made from, whoever's they are. */
  usedImages(): Promise<ReadonlySet<string>>;
  /** Under this name; with the last name its content. `runtime-conflict` where a container is made from it; one that is gone is success. */
  removeImage(image: string): Promise<void>;
  /** Where images are kept; undefined where that is not on this machine. */
  imageDir(): Promise<string | undefined>;
  /** All images of an archive, as `docker save` or OCI has it. `archive-refused` where it is not one, or holds none for this machine. */
  importImages(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<z.infer<typeof PullProgress>>;
  /** An archive that `docker load` and `ctr images import` take. `image-not-found` before the first byte. */
  exportImage(image: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  pull(image: string, credentials: z.infer<typeof RegistryCredentials> | undefined, signal: AbortSignal): AsyncIterable<z.infer<typeof PullProgress>>;
  build(context: AsyncIterable<Uint8Array>, options: BuildOptions, signal: AbortSignal): AsyncIterable<z.infer<typeof PullProgress>>;
  /** Remove networks of this cluster that no container uses. */
  pruneNetworks(): Promise<void>;
  removeVolume(name: string): Promise<void>;
  /** Size in bytes and path of volumes that exist. */
  volumeUsage(names: readonly string[]): Promise<readonly {readonly name: string; readonly bytes: number; readonly path: string}[]>;
  close(): Promise<void>;
}
