/** What the fake runtime runs on: containers, images, networks and volumes in memory, and the strings that a test pulls. */
import {EventEmitter, once} from 'node:events';
import {runtimeErrors, type RuntimeContainer, type RuntimeEvent, type RuntimeSpec} from '@hivemind/runtime';
import type {ImageInfo} from '@hivemind/contracts';
import {FakeProcess} from './fake-process.ts';

/** Calls that a test can make fail or hold. */
export type FakeCall = 'create' | 'start' | 'stop' | 'remove' | 'list' | 'inspect' | 'pull' | 'build' | 'exec' | 'logs' | 'stats';

export interface FakeImage {
  /** Who may pull it; absent: anybody. */
  readonly credentials?: {readonly username: string; readonly password: string};
  readonly layers: number;
}

export interface FakeLogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly line: string;
}

export interface FakeContainer {
  readonly runtimeId: string;
  readonly spec: RuntimeSpec;
  readonly labels: Readonly<Record<string, string>>;
  state: RuntimeContainer['state'];
  process: FakeProcess | undefined;
  pid: number | undefined;
  exitCode: number | undefined;
  oomKilled: boolean;
  error: string | undefined;
  startedAt: string | undefined;
  finishedAt: string | undefined;
  ports: RuntimeContainer['ports'];
  readonly log: FakeLogLine[];
}

type Change = {readonly kind: 'event'; readonly labels: Readonly<Record<string, string>>; readonly event: RuntimeEvent};

/** Several runtimes may share one, as two Hivemind share an engine, or an agent and the one that replaces it. */
export class FakeEngine extends EventEmitter<{change: [Change]; connection: []; log: [FakeContainer]; release: []}> {
  /** By engine id. */
  readonly containers = new Map<string, FakeContainer>();
  readonly images = new Map<string, Omit<ImageInfo, 'node'>>();
  readonly registry = new Map<string, FakeImage>();
  /** Where images are said to be. */
  imageDir: string | undefined;
  /** Names, each with the cluster that owns it. */
  readonly networks = new Map<string, string>();
  readonly volumes = new Map<string, Readonly<Record<string, string>>>();
  /** Every call so far, as in `create web-x1`. */
  readonly calls: string[] = [];
  readonly #now: () => number;
  readonly #failures = new Map<FakeCall, Error[]>();
  readonly #held = new Set<FakeCall>();
  readonly #takenPorts = new Set<number>();
  #connected = true;
  #sequence = 0;

  constructor(now: () => number) {
    super();
    this.setMaxListeners(0);
    this.#now = now;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Put an image on the machine. */
  addImage(name: string): void {
    this.images.set(name, {id: `sha256:${this.#number().padStart(64, '0')}`, tags: [name], digests: [], size: 1_000_000, createdAt: this.time()});
  }

  /** The next call of that kind, and `times - 1` after it, throw `error`. */
  failNext(call: FakeCall, error: Error, times = 1): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), ...Array.from({length: times}, () => error)]);
  }

  /** Calls of that kind wait until the function that it returns is called. */
  hold(call: FakeCall): () => void {
    this.#held.add(call);
    return () => {
      this.#held.delete(call);
      this.emit('release');
    };
  }

  /** The engine's socket is gone: every call throws `runtime-unavailable`. Containers run on. */
  disconnect(): void {
    this.#connected = false;
    this.emit('connection');
  }

  connect(): void {
    this.#connected = true;
    this.emit('connection');
  }

  /** Another program listens on this port of the machine. */
  takePort(port: number): void {
    this.#takenPorts.add(port);
  }

  /** Our id → its container. @throws when there is none */
  container(id: string): FakeContainer {
    const found = [...this.containers.values()].find(({spec}) => spec.record.id === id);
    if (!found) throw new Error(`the fake engine has no container ${id}`);
    return found;
  }

  /** Its main process ends by itself. */
  exit(id: string, code: number): void {
    this.container(id).process?.exit(code);
  }

  outOfMemory(id: string): void {
    const container = this.container(id);
    container.oomKilled = true;
    this.notify(container, {type: 'oom', id, runtimeId: container.runtimeId});
    container.process?.exit(137);
  }

  /** Somebody removes it behind our back. */
  vanish(id: string): void {
    this.delete(this.container(id));
  }

  /** It writes a line. */
  write(id: string, line: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    this.#output(this.container(id), stream, `${line}\n`);
  }

  // --- what the runtime uses ---

  /** Every call begins here. */
  async enter(call: FakeCall, subject: string): Promise<void> {
    this.calls.push(`${call} ${subject}`);
    while (this.#held.has(call)) await once(this, 'release');
    if (!this.#connected) throw runtimeErrors['runtime-unavailable']('The container engine at fake does not answer (ECONNREFUSED).');
    const failure = this.#failures.get(call)?.shift();
    if (failure) throw failure;
  }

  create(spec: RuntimeSpec, labels: Readonly<Record<string, string>>): FakeContainer {
    const runtimeId = this.#number().padStart(64, 'f');
    const container: FakeContainer = {
      runtimeId, spec, labels, state: 'created', process: undefined, pid: undefined, exitCode: undefined, oomKilled: false,
      error: undefined, startedAt: undefined, finishedAt: undefined, ports: [], log: [],
    };
    this.containers.set(runtimeId, container);
    for (const mount of spec.mounts) if (mount.type === 'volume' && !this.volumes.has(mount.source)) this.volumes.set(mount.source, mount.labels);
    return container;
  }

  start(container: FakeContainer): void {
    const {record, env} = container.spec;
    const {command, args, init} = record.template;
    const argv = command === undefined && args === undefined ? undefined : [...(command ?? []), ...(args ?? [])];
    const missing = FakeProcess.missing(argv);
    if (missing !== undefined) {
      container.error = `exec: "${missing}": executable file not found in $PATH`;
      throw runtimeErrors['start-failed'](`Starting the container failed: the command ${missing} cannot be run in the image: executable file not found in $PATH. Check command and args.`);
    }
    container.ports = record.ports.flatMap((port) => (port.host === undefined ? [] : [{...port, host: port.host === 0 ? this.#freePort() : this.#takenBy(port.host)}]));
    Object.assign(container, {state: 'running', error: undefined, exitCode: undefined, finishedAt: undefined, oomKilled: false, startedAt: this.time(), pid: 1000 + ++this.#sequence});
    const running = new FakeProcess({...(argv ? {argv} : {}), env, ignoresSignals: init !== true, output: (stream, text) => this.#output(container, stream, text)});
    container.process = running;
    this.notify(container, {type: 'started', id: record.id, runtimeId: container.runtimeId});
    void running.exited.then((code) => {
      if (container.process === running) this.#ended(container, code);
    });
  }

  delete(container: FakeContainer): void {
    if (!this.containers.has(container.runtimeId)) return;
    if (container.process) {
      container.process.exit(137);
      this.#ended(container, 137);
    }
    this.containers.delete(container.runtimeId);
    this.notify(container, {type: 'removed', id: container.spec.record.id, runtimeId: container.runtimeId});
    this.emit('log', container);
  }

  notify({labels}: FakeContainer, event: RuntimeEvent): void {
    if (this.#connected) this.emit('change', {kind: 'event', labels, event});
  }

  /** Now, and later than any time told before. */
  time(): string {
    const nanoseconds = String(++this.#sequence % 1_000_000).padStart(6, '0');
    return new Date(this.#now()).toISOString().replace('Z', `${nanoseconds}Z`);
  }

  #ended(container: FakeContainer, exitCode: number): void {
    const time = this.time();
    Object.assign(container, {process: undefined, pid: undefined, state: 'exited', exitCode, finishedAt: time, ports: []});
    this.notify(container, {type: 'exited', id: container.spec.record.id, runtimeId: container.runtimeId, exitCode, time});
    this.emit('log', container);
  }

  #output(container: FakeContainer, stream: 'stdout' | 'stderr', text: string): void {
    for (const line of text.replace(/\n$/, '').split('\n')) container.log.push({time: this.time(), stream, line});
    this.emit('log', container);
  }

  #takenBy(port: number): number {
    const used = [...this.containers.values()].some(({ports}) => ports.some(({host}) => host === port));
    if (used || this.#takenPorts.has(port)) {
      throw runtimeErrors['port-in-use'](`Starting the container failed: port ${port} is taken on this machine by another container or program. Publish another port, or free this one.`);
    }
    return port;
  }

  #freePort(): number {
    let port = 32_768;
    const used = new Set([...this.containers.values()].flatMap(({ports}) => ports.map(({host}) => host)));
    while (used.has(port) || this.#takenPorts.has(port)) port++;
    return port;
  }

  #number(): string {
    return (++this.#sequence).toString(16);
  }
}
