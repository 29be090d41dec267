/** The runtime port in memory. It passes the contract suite that the Docker driver passes, so a test may trust it. */
import {on} from 'node:events';
import {engineLabels, type ContainerStats} from '@hivemind/contracts';
import {runtimeErrors, type ExecOptions, type ExecSession, type Runtime, type RuntimeContainer, type RuntimeEvent, type RuntimeInfo, type RuntimeSpec} from '@hivemind/runtime';
import {FakeEngine, type FakeContainer} from './fake-engine.ts';
import {FakeProcess} from './fake-process.ts';

export interface FakeRuntimeOptions {
  /** Value of the label `hivemind.cluster`; default `test`. */
  readonly cluster?: string;
  /** To share one between runtimes. */
  readonly engine?: FakeEngine;
  /** ms since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** On the machine from the start; default `busybox`. */
  readonly images?: readonly string[];
}

export interface FakeRuntime extends Runtime {
  /** What the test controls: exits, failures, slow calls, lost connections. */
  readonly engine: FakeEngine;
}

export function createFakeRuntime(options: FakeRuntimeOptions = {}): FakeRuntime {
  const engine = options.engine ?? new FakeEngine(options.now ?? Date.now);
  for (const image of options.images ?? ['busybox']) engine.addImage(image);
  return new InMemoryRuntime(engine, options.cluster ?? 'test');
}

const FAKE_ARCHIVE = 'images';

class InMemoryRuntime implements FakeRuntime {
  readonly engine: FakeEngine;
  readonly #cluster: string;
  readonly #closing = new AbortController();

  constructor(engine: FakeEngine, cluster: string) {
    this.engine = engine;
    this.#cluster = cluster;
  }

  async info(): Promise<RuntimeInfo> {
    return Promise.resolve({name: 'fake', version: '1'});
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    await this.engine.enter('list', '');
    return this.#mine().map(observed);
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    await this.engine.enter('inspect', id);
    const found = this.#mine().find(({spec}) => spec.record.id === id);
    return found && observed(found);
  }

  async create(spec: RuntimeSpec): Promise<string> {
    const {record, name} = spec;
    await this.engine.enter('create', record.id);
    if (!this.engine.images.has(record.template.image)) {
      throw runtimeErrors['image-not-found'](`Creating ${record.id} failed: No such image: ${record.template.image}.`);
    }
    const existing = [...this.engine.containers.values()].find((container) => container.spec.name === name);
    if (existing) {
      if (existing.labels[engineLabels.cluster] === this.#cluster && existing.spec.record.id === record.id) return existing.runtimeId;
      throw runtimeErrors['runtime-conflict'](`The engine has another container named ${name}. Rename or remove it.`);
    }
    for (const network of spec.networks) this.engine.networks.set(network.name, this.#cluster);
    const labels = {...record.template.containerLabels, ...spec.labels, [engineLabels.cluster]: this.#cluster, [engineLabels.container]: record.id};
    return this.engine.create(spec, labels).runtimeId;
  }

  async start(runtimeId: string): Promise<RuntimeContainer | undefined> {
    await this.engine.enter('start', this.#name(runtimeId));
    const container = this.#get(runtimeId, 'Starting the container');
    if (container.process) return undefined;
    for (const network of container.spec.networks) this.engine.networks.set(network.name, this.#cluster);
    this.engine.start(container);
    return container.process ? observed(container) : undefined;
  }

  async stop(runtimeId: string, signal: string, graceMs: number): Promise<void> {
    await this.engine.enter('stop', this.#name(runtimeId));
    const running = this.engine.containers.get(runtimeId)?.process;
    if (!running) return;
    running.signal(signal);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise((resolve) => (timer = setTimeout(resolve, graceMs)));
    await Promise.race([running.exited, grace]);
    clearTimeout(timer);
    running.signal('SIGKILL');
    await running.exited;
  }

  async remove(runtimeId: string): Promise<void> {
    await this.engine.enter('remove', this.#name(runtimeId));
    const container = this.engine.containers.get(runtimeId);
    if (container) this.engine.delete(container);
  }

  async *events(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const until = AbortSignal.any([signal, this.#closing.signal]);
    const queue: RuntimeEvent[] = [{type: this.engine.connected ? 'connected' : 'disconnected'}];
    const wake = new EventTarget();
    const push = (event: RuntimeEvent): void => {
      queue.push(event);
      wake.dispatchEvent(new Event('more'));
    };
    const onChange = ({labels, event}: {readonly labels: Readonly<Record<string, string>>; readonly event: RuntimeEvent}): void => {
      if (labels[engineLabels.cluster] === this.#cluster) push(event);
    };
    const onConnection = (): void => push({type: this.engine.connected ? 'connected' : 'disconnected'});
    this.engine.on('change', onChange).on('connection', onConnection);
    try {
      while (!until.aborted) {
        const event = queue.shift();
        if (event) yield event;
        else await changed(wake, until);
      }
    } finally {
      this.engine.off('change', onChange).off('connection', onConnection);
    }
  }

  async *logs(runtimeId: string, options: Parameters<Runtime['logs']>[1], signal: AbortSignal): ReturnType<Runtime['logs']> {
    await this.engine.enter('logs', this.#name(runtimeId));
    const container = this.#get(runtimeId, 'Reading the log');
    const {tail, since, until, follow} = options;
    const wanted = ({time}: {readonly time: string}): boolean => (since === undefined || time >= toNanoseconds(since)) && (until === undefined || time <= toNanoseconds(until));
    const past = container.log.filter(wanted);
    let next = container.log.length;
    yield* tail === undefined ? past : past.slice(Math.max(0, past.length - tail));
    if (!follow || signal.aborted) return;
    const updates = on(this.engine, 'log', {signal});
    try {
      do {
        for (; next < container.log.length; next++) {
          const line = container.log[next];
          if (line && wanted(line)) yield line;
        }
        if (!container.process) return;
      } while (!(await updates.next()).done);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await updates.return?.();
    }
  }

  async exec(runtimeId: string, options: ExecOptions): Promise<ExecSession> {
    await this.engine.enter('exec', this.#name(runtimeId));
    const container = this.#get(runtimeId, 'Running a command');
    if (!container.process) throw runtimeErrors['runtime-conflict'](`Running a command failed: the container does not run (it is ${container.state}).`);
    return options.command === undefined ? this.#attach(container, container.process) : this.#execute(container, options.command, options);
  }

  async stats(ids: readonly string[]): Promise<readonly ContainerStats[]> {
    await this.engine.enter('stats', ids.join(' '));
    return this.#mine()
      .filter(({spec, process}) => process !== undefined && ids.includes(spec.record.id))
      .map(({spec}) => ({id: spec.record.id, time: this.engine.time(), cpu: 1, memory: 1_000_000, memoryLimit: 64_000_000, networkIn: 0, networkOut: 0, blockRead: 0, blockWrite: 0, pids: 1}));
  }

  async images(): ReturnType<Runtime['images']> {
    return Promise.resolve([...this.engine.images.values()]);
  }

  async hasImage(image: string): Promise<boolean> {
    return Promise.resolve(this.engine.images.has(image));
  }

  async *pull(image: string, credentials: Parameters<Runtime['pull']>[1], signal: AbortSignal): ReturnType<Runtime['pull']> {
    await this.engine.enter('pull', image);
    signal.throwIfAborted();
    const found = this.engine.registry.get(image);
    if (!found) throw runtimeErrors['image-not-found'](`The image ${image} does not exist, or asks for credentials: manifest unknown.`);
    const {credentials: wanted, layers} = found;
    if (wanted && (wanted.username !== credentials?.username || wanted.password !== credentials.password)) {
      throw runtimeErrors['image-unauthorized'](`The registry refused to give ${image}: unauthorized. Check the credentials (pull.secret).`);
    }
    for (let layer = 1; layer <= layers; layer++) yield {status: 'Pull complete', layer: `layer-${layer}`, current: 1000, total: 1000};
    this.engine.addImage(image);
    yield {status: `Pulled ${image}`, done: true};
  }

  async *build(context: AsyncIterable<Uint8Array>, options: Parameters<Runtime['build']>[1], _signal: AbortSignal): ReturnType<Runtime['build']> {
    await this.engine.enter('build', options.tag);
    let size = 0;
    for await (const chunk of context) size += chunk.length;
    if (size === 0) throw runtimeErrors['build-failed'](`Building ${options.tag} failed: the context is empty.`);
    this.engine.addImage(options.tag);
    yield {status: `Built ${options.tag}`, done: true};
  }

  async usedImages(): ReturnType<Runtime['usedImages']> {
    return Promise.resolve(new Set([...this.engine.containers.values()].flatMap(({spec}) => this.engine.images.get(spec.record.template.image)?.id ?? [])));
  }

  async removeImage(written: string): Promise<void> {
    const image = written.replace(/^docker\.io\/(library\/)?/, '');
    const found = this.engine.images.get(image);
    if (!found) return;
    if ((await this.usedImages()).has(found.id)) throw runtimeErrors['runtime-conflict'](`Removing the image ${image} failed: a container is made from it.`);
    this.engine.images.delete(image);
  }

  imageDir(): Promise<string | undefined> {
    return Promise.resolve(this.engine.imageDir);
  }

  /** Its archives are lists of names, each with a platform unless it is this machine's. */
  async *importImages(archive: AsyncIterable<Uint8Array>, _signal: AbortSignal): ReturnType<Runtime['importImages']> {
    const parts: Uint8Array[] = [];
    for await (const part of archive) parts.push(part);
    const [head, ...names] = Buffer.concat(parts).toString('utf8').split('\n');
    if (head !== FAKE_ARCHIVE) throw runtimeErrors['archive-refused']('The archive was not taken: it is not one.');
    const foreign = names.find((name) => name.includes(' '))?.split(' ');
    if (foreign) throw runtimeErrors['archive-refused'](`The archive was not taken: ${foreign[0]} is for ${foreign[1]}, and this machine is linux/fake.`);
    for (const name of names) this.engine.addImage(name);
    yield {status: `Imported ${names.length} images`, done: true};
  }

  async *exportImage(image: string, _signal: AbortSignal): ReturnType<Runtime['exportImage']> {
    await Promise.resolve();
    if (!this.engine.images.has(image)) throw runtimeErrors['image-not-found'](`The image ${image} is not on this machine: pull it first.`);
    yield Buffer.from(`${FAKE_ARCHIVE}\n${image}`);
  }

  async pruneNetworks(): Promise<void> {
    const used = new Set(this.#mine().flatMap(({spec, process}) => (process ? spec.networks.map(({name}) => name) : [])));
    for (const [name, cluster] of this.engine.networks) if (cluster === this.#cluster && !used.has(name)) this.engine.networks.delete(name);
    return Promise.resolve();
  }

  async removeVolume(name: string): Promise<void> {
    const labels = this.engine.volumes.get(name);
    if (!labels) return;
    if (labels[engineLabels.cluster] !== this.#cluster) throw runtimeErrors['runtime-conflict'](`The volume ${name} was not made by this cluster, so it is left alone.`);
    const user = [...this.engine.containers.values()].find(({spec}) => spec.mounts.some((mount) => mount.type === 'volume' && mount.source === name));
    if (user) throw runtimeErrors['runtime-conflict'](`Removing the volume ${name} failed: volume is in use by ${user.spec.record.id}.`);
    this.engine.volumes.delete(name);
    return Promise.resolve();
  }

  async volumeUsage(names: readonly string[]): ReturnType<Runtime['volumeUsage']> {
    return Promise.resolve(names.filter((name) => this.engine.volumes.has(name)).map((name) => ({name, bytes: 0, path: `/fake/volumes/${name}`})));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  #execute({spec}: FakeContainer, command: readonly string[], options: ExecOptions): ExecSession {
    const frames = new Frames();
    const missing = FakeProcess.missing(command);
    if (missing !== undefined) {
      frames.push('stdout', `exec: "${missing}": executable file not found in $PATH\r\n`);
      frames.end();
      return session(frames, undefined, Promise.resolve(126));
    }
    const running = new FakeProcess({argv: command, env: {...spec.env, ...options.env}, ignoresSignals: false, output: (stream, text) => frames.push(options.tty ? 'stdout' : stream, text)});
    void running.exited.then(() => frames.end());
    if (!options.stdin) running.stdin.end();
    return session(frames, running, running.exited);
  }

  #attach(container: FakeContainer, running: FakeProcess): ExecSession {
    const frames = new Frames();
    let next = container.log.length;
    const onLog = (): void => {
      for (; next < container.log.length; next++) {
        const line = container.log[next];
        if (line) frames.push(line.stream, `${line.line}\n`);
      }
    };
    this.engine.on('log', onLog);
    void running.exited.then(() => {
      this.engine.off('log', onLog);
      frames.end();
    });
    return session(frames, undefined, running.exited);
  }

  #mine(): FakeContainer[] {
    return [...this.engine.containers.values()].filter(({labels}) => labels[engineLabels.cluster] === this.#cluster);
  }

  #get(runtimeId: string, what: string): FakeContainer {
    const container = this.engine.containers.get(runtimeId);
    if (!container) throw runtimeErrors['container-not-found'](`${what} failed: the engine has no such container.`);
    return container;
  }

  #name(runtimeId: string): string {
    return this.engine.containers.get(runtimeId)?.spec.record.id ?? runtimeId;
  }
}

function observed(container: FakeContainer): RuntimeContainer {
  const {runtimeId, spec, labels, state, pid, exitCode, oomKilled, error, startedAt, finishedAt, ports} = container;
  return {
    runtimeId,
    id: spec.record.id,
    name: spec.name,
    labels,
    state,
    oomKilled,
    ports: ports.map(({container: port, protocol, host, address}) => ({container: port, protocol, ...(host === undefined ? {} : {host}), ...(address === undefined ? {} : {address})})),
    ...(pid === undefined ? {} : {pid, ip: '10.0.0.2'}),
    ...(exitCode === undefined ? {} : {exitCode}),
    ...(error === undefined ? {} : {error}),
    ...(startedAt === undefined ? {} : {startedAt}),
    ...(finishedAt === undefined ? {} : {finishedAt}),
  };
}

/** All nine digits, so that times compare as text. */
function toNanoseconds(time: string): string {
  return time.replace(/(\.\d+)?Z$/, (_, fraction: string | undefined) => `${(fraction ?? '.').padEnd(10, '0')}Z`);
}

/** Output waiting to be read. */
class Frames {
  readonly #queue: {readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array}[] = [];
  readonly #wake = new EventTarget();
  #over = false;

  push(stream: 'stdout' | 'stderr', text: string): void {
    this.#queue.push({stream, data: Buffer.from(text)});
    this.#wake.dispatchEvent(new Event('more'));
  }

  end(): void {
    this.#over = true;
    this.#wake.dispatchEvent(new Event('more'));
  }

  async *read(): ExecSession['output'] {
    while (true) {
      const frame = this.#queue.shift();
      if (frame) yield frame;
      else if (this.#over) return;
      else await changed(this.#wake);
    }
  }
}

function session(frames: Frames, running: FakeProcess | undefined, exitCode: Promise<number>): ExecSession {
  return {
    output: frames.read(),
    write: async (data) => {
      running?.stdin.write(data);
      return Promise.resolve();
    },
    endInput: () => running?.stdin.end(),
    resize: () => Promise.resolve(),
    exitCode,
    close: () => frames.end(),
  };
}

/** Resolves at the next wake-up, or when the signal is aborted. */
function changed(wake: EventTarget, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      wake.removeEventListener('more', done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    wake.addEventListener('more', done);
    signal?.addEventListener('abort', done);
  });
}
