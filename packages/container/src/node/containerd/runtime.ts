/**
 * The runtime port on containerd 1.6 and newer, with runc's shim: no daemon between, no process a container beside the shim.
 *
 * A container's id in containerd follows from its name, so that a create repeated after a crash meets the first one. What
 * refers to what keeps containerd's garbage collection off: the container is made first and names its snapshot, images name
 * their content, content names its snapshots, and pulls hold a lease.
 */
import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors, type Runtime, type RuntimeContainer, type RuntimeInfo, type RuntimeSpec} from '@hivemind/runtime';
import type {Logger} from 'pino';
import {adopt} from './adoption.ts';
import {ContainerdClient, isStatus} from './api/client.ts';
import type {Process} from './api/messages.ts';
import {asking} from './errors.ts';
import {containerdEvents} from './events.ts';
import {execute} from './exec.ts';
import {attach} from './attach.ts';
import {Images} from './images/images.ts';
import type {RegistrySettings} from './images/registry.ts';
import {sha256} from './images/store.ts';
import {LogPump} from './logs/pump.ts';
import {readLog} from './logs/reader.ts';
import {Maker, processOf} from './making.ts';
import {Networks} from './network/networks.ts';
import {noteOutOfMemory, ranOutUntold} from './oom.ts';
import {Place} from './place.ts';
import {fromExtension, type Kept, runtimeIdOf, toContainer, toRuntimeContainer} from './record.ts';
import {orGone, Snapshots} from './snapshots.ts';
import {startContainer} from './starting.ts';
import {StatsReader} from './stats.ts';
import {signalNumber, taskId, Tasks} from './tasks.ts';
import {Volumes} from './volumes.ts';

export interface ContainerdRuntimeOptions {
  /** Default: /run/containerd/containerd.sock. */
  readonly socketPath?: string;
  /** containerd's namespace; default: hivemind. */
  readonly namespace?: string;
  /** Value of the label `hivemind.cluster`. */
  readonly cluster: string;
  /** This machine, for the log. */
  readonly node: string;
  /** Where logs, volumes and the like are kept; default: /var/lib/hivemind/containerd. Like an engine's own, it outlives data dirs. */
  readonly root?: string;
  /** Parent of the containers' control groups; default: /hivemind. */
  readonly cgroupParent?: string;
  readonly registries?: RegistrySettings;
  readonly logger: Logger;
  /** ms since the epoch. */
  now(): number;
}

/** A list is asked for again and again, and says whether containerd is there: it need not wait as long as a start. */
const LIST_MS = 30_000;

export class ContainerdRuntime implements Runtime {
  readonly #client: ContainerdClient;
  readonly #options: ContainerdRuntimeOptions;
  readonly #namespace: string;
  readonly #place: Place;
  readonly #images: Images;
  readonly #volumes: Volumes;
  readonly #maker: Maker;
  readonly #networks: Networks;
  readonly #stats: StatsReader;
  readonly #pump = new LogPump(() => this.#place.reader(this.#options.cluster));
  readonly #closing = new AbortController();
  /** Being made: containerd may not know of them yet. */
  readonly #making = new Set<string>();
  /** What is known of this cluster's containers, by containerd's id. */
  readonly #kept = new Map<string, Kept>();
  readonly #snapshots: Snapshots;
  readonly #tasks: Tasks;
  #namespaceMade: Promise<void> | undefined;

  constructor(options: ContainerdRuntimeOptions) {
    const {socketPath = '/run/containerd/containerd.sock', namespace = 'hivemind', root = '/var/lib/hivemind/containerd', cgroupParent = '/hivemind', cluster, registries = {}, logger} = options;
    this.#options = options;
    this.#namespace = namespace;
    this.#client = new ContainerdClient(socketPath, namespace);
    this.#place = new Place(root);
    this.#snapshots = new Snapshots(this.#client);
    this.#tasks = new Tasks(this.#client, this.#pump);
    const snapshotter = (): Promise<string> => this.#snapshots.snapshotter();
    this.#images = new Images({client: this.#client, snapshotter, registries, now: () => options.now()});
    this.#volumes = new Volumes(this.#place, cluster);
    this.#networks = new Networks({cluster, place: this.#place, containers: () => this.#listed(), logger});
    this.#maker = new Maker({client: this.#client, place: this.#place, volumes: this.#volumes, networks: this.#networks, snapshotter, cgroupParent, logger});
    this.#stats = new StatsReader(options.now);
  }

  async info(): Promise<RuntimeInfo> {
    const {version} = await this.#asking('Asking for the version', () => this.#client.call('version', {}));
    return {name: 'containerd', version: version.replace(/^v/, '')};
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const [containers, {tasks}] = await this.#asking('Listing containers', () => Promise.all([this.#listed(), this.#client.call('listTasks', {}, {deadlineMs: LIST_MS})]));
    const byId = new Map(tasks.map((task) => [taskId(task), task]));
    return Promise.all([...containers].map(([runtimeId, kept]) => this.#described(runtimeId, kept, byId.get(runtimeId))));
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    return this.#asking('Looking at a container', async () => {
      for (const [runtimeId, {labels}] of this.#kept) if (labels[engineLabels.container] === id) return this.#look(runtimeId);
      const [found] = await this.#listed(`labels."${engineLabels.container}"==${JSON.stringify(id)}`);
      return found && this.#look(found[0]);
    });
  }

  async create(spec: RuntimeSpec): Promise<string> {
    return this.#asking(`Creating ${spec.record.id}`, async () => {
      await this.#ensureNamespace();
      const runtimeId = runtimeIdOf(spec.name, (text) => sha256(text).slice(7));
      this.#making.add(runtimeId);
      try {
        await this.#make(runtimeId, spec);
        return runtimeId;
      } finally {
        this.#making.delete(runtimeId);
      }
    });
  }

  async #make(runtimeId: string, spec: RuntimeSpec): Promise<void> {
    const {cluster} = this.#options;
    const image = await this.#images.find(spec.record.template.image);
    if (!image) throw runtimeErrors['image-not-found'](`Creating ${spec.record.id} failed: No such image: ${spec.record.template.image}.`);
    const made = await this.#maker.describe(runtimeId, spec, image, cluster).catch(async (error: unknown) => {
      if ((await this.#keptOf(runtimeId)) === undefined) await Promise.all([this.#networks.release(runtimeId), this.#place.remove(runtimeId)]);
      throw error;
    });
    let {kept} = made;
    try {
      await this.#client.call('createContainer', {container: toContainer(runtimeId, made, image.name, await this.#snapshots.snapshotter())});
    } catch (error) {
      if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
      const existing = await this.#keptOf(runtimeId);
      if (existing?.labels[engineLabels.cluster] !== cluster || existing.labels[engineLabels.container] !== spec.record.id) {
        throw runtimeErrors['runtime-conflict'](`containerd has another container named ${spec.name}. Rename or remove it.`, {cause: error});
      }
      kept = existing;
    }
    this.#kept.set(runtimeId, kept);
    await this.#snapshots.prepare(runtimeId, image.chainId);
  }

  async start(runtimeId: string): Promise<RuntimeContainer | undefined> {
    return this.#asking('Starting the container', async () => {
      const fresh = this.#snapshots.takeFresh(runtimeId) ? this.#kept.get(runtimeId) : undefined;
      const started = {client: this.#client, place: this.#place, pump: this.#pump, tasks: this.#tasks, snapshots: this.#snapshots, networks: this.#networks, now: this.#options.now};
      try {
        return await startContainer(started, runtimeId, fresh ?? (await this.#known(runtimeId)), fresh !== undefined);
      } catch (error) {
        if (!isStatus(error, 'NOT_FOUND') || (await this.#snapshots.exists(runtimeId))) throw error;
        // Its agent was killed before it had given it anything to stand on: it is made again.
        await this.remove(runtimeId);
        throw runtimeErrors['container-not-found']('Starting the container failed: it was only half made, and is made again.', {cause: error});
      }
    });
  }

  async stop(runtimeId: string, signal: string, graceMs: number): Promise<void> {
    const number = signalNumber(signal);
    await this.#asking('Stopping the container', async () => {
      await this.#tasks.stop(runtimeId, number, graceMs);
      await this.#networks.detach(runtimeId);
    });
  }

  async remove(runtimeId: string): Promise<void> {
    await this.#asking('Removing the container', async () => {
      const kept = await this.#keptOf(runtimeId);
      await this.#tasks.delete(runtimeId);
      await orGone(this.#client.call('deleteContainer', {id: runtimeId}));
      // Nothing refers to it any more, so that containerd may be faster.
      await this.#snapshots.remove(runtimeId);
      await this.#networks.release(runtimeId);
      await this.#place.remove(runtimeId);
      if (kept) this.#stats.forget(kept.cgroup);
    });
  }

  async *events(signal: AbortSignal): ReturnType<Runtime['events']> {
    const {logger, cluster} = this.#options;
    const source = {
      client: this.#client, namespace: this.#namespace, logger,
      onConnected: () => this.#adopt(),
      idOf: async (runtimeId: string): Promise<string | undefined> => {
        const kept = this.#kept.get(runtimeId) ?? (await this.#keptOf(runtimeId).catch(() => undefined));
        return kept?.labels[engineLabels.cluster] === cluster ? kept.labels[engineLabels.container] : undefined;
      },
    };
    for await (const event of containerdEvents(source, AbortSignal.any([signal, this.#closing.signal]))) {
      if (event.type === 'disconnected') this.#forget();
      if (event.type === 'oom') await noteOutOfMemory(this.#place, event.runtimeId);
      if (event.type === 'exited' && (await ranOutUntold(this.#place, event.runtimeId, this.#kept.get(event.runtimeId)))) yield {type: 'oom', id: event.id, runtimeId: event.runtimeId};
      if (event.type === 'exited' || event.type === 'removed') await this.#disconnect(event.runtimeId, event.type === 'removed');
      yield event;
      if (event.type === 'removed') this.#kept.delete(event.runtimeId);
    }
  }

  /** What it was reached by goes with it. */
  async #disconnect(runtimeId: string, gone: boolean): Promise<void> {
    try {
      await (gone ? this.#networks.release(runtimeId) : this.#networks.ended(runtimeId, () => this.#tasks.lives(runtimeId)));
    } catch (err) {
      this.#options.logger.warn({err, container: runtimeId}, 'the network of a container that ended is still there');
    }
  }

  async *logs(runtimeId: string, options: Parameters<Runtime['logs']>[1], signal: AbortSignal): ReturnType<Runtime['logs']> {
    await this.#asking('Reading the log', () => this.#known(runtimeId));
    // All that an ended container wrote is there before it is read; a running one may write on.
    const ended = options.follow ? this.#tasks.ended(runtimeId) : Promise.resolve();
    if (!options.follow && !(await this.#tasks.runs(runtimeId))) await this.#tasks.drained(runtimeId);
    yield* readLog(this.#place.log(runtimeId), options, ended, signal);
  }

  async exec(runtimeId: string, options: Parameters<Runtime['exec']>[1]): ReturnType<Runtime['exec']> {
    return this.#asking('Running a command', async () => {
      const kept = await this.#known(runtimeId);
      const {command, user} = options;
      if (!(await this.#tasks.runs(runtimeId))) throw runtimeErrors['runtime-conflict'](`${command === undefined ? 'Attaching' : `Running ${command[0] ?? ''}`} failed: the container does not run.`);
      if (command === undefined) return attach({log: this.#place.log(runtimeId), ended: this.#tasks.ended(runtimeId), exitCode: this.#tasks.waited(runtimeId).then((code) => code ?? 0), resize: (width, height) => (kept.tty ? this.#client.call('resizePty', {containerId: runtimeId, width, height}) : Promise.resolve())}, options);
      const {container} = await this.#client.call('getContainer', {id: runtimeId});
      if (!container) throw runtimeErrors['container-not-found']('Running a command failed: containerd has no such container.');
      const as = user === undefined ? undefined : await this.#maker.userOf(user, container.image, container.snapshotKey);
      return execute({client: this.#client, place: this.#place, runtimeId, main: processOf(container), ...(as ? {user: as} : {})}, command, options);
    });
  }

  async stats(ids: readonly string[]): ReturnType<Runtime['stats']> {
    const {tasks} = await this.#asking('Reading figures', () => this.#client.call('listTasks', {}, {deadlineMs: LIST_MS}));
    if ([...this.#kept.values()].length === 0) await this.#asking('Reading figures', () => this.#listed());
    const byId = new Map([...this.#kept].map(([runtimeId, kept]) => [kept.labels[engineLabels.container] ?? '', {runtimeId, cgroup: kept.cgroup}]));
    const read = async (id: string): ReturnType<StatsReader['read']> => {
      const known = byId.get(id);
      const task = tasks.find((each) => taskId(each) === known?.runtimeId);
      return known === undefined || (task?.status !== 'RUNNING' && task?.status !== 'PAUSED') ? undefined : this.#stats.read(id, known.cgroup, task.pid);
    };
    return (await Promise.all(ids.map(read))).filter((stats) => stats !== undefined);
  }

  images(): ReturnType<Runtime['images']> {
    return this.#asking('Listing images', () => this.#images.list());
  }

  async hasImage(image: string): Promise<boolean> {
    return (await this.#asking(`Looking for the image ${image}`, () => this.#images.find(image))) !== undefined;
  }

  usedImages(): ReturnType<Runtime['usedImages']> {
    return this.#asking('Listing the images in use', () => this.#images.used());
  }

  removeImage(image: string): Promise<void> {
    return this.#asking(`Removing the image ${image}`, () => this.#images.remove(image));
  }

  imageDir(): ReturnType<Runtime['imageDir']> {
    return this.#asking('Asking where images are', () => this.#images.dir());
  }

  pull(image: string, credentials: Parameters<Runtime['pull']>[1], signal: AbortSignal): ReturnType<Runtime['pull']> {
    return this.#steps(`Pulling ${image}`, () => this.#images.pull(image, credentials, signal), signal);
  }

  importImages(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): ReturnType<Runtime['importImages']> {
    return this.#steps('Importing the archive', () => this.#images.import(archive, signal), signal);
  }

  exportImage(image: string, signal: AbortSignal): ReturnType<Runtime['exportImage']> {
    return this.#steps(`Exporting ${image}`, () => this.#images.export(image, signal), signal);
  }

  /** Errors of what goes on for long, as of what is asked once. */
  async *#steps<T>(what: string, begin: () => AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
    await this.#asking(what, () => this.#ensureNamespace());
    try {
      for await (const step of begin()) yield step;
    } catch (error) {
      signal.throwIfAborted();
      await this.#asking(what, () => Promise.reject(error instanceof Error ? error : new Error(String(error))));
    }
  }

  async *build(_context: AsyncIterable<Uint8Array>, {tag}: Parameters<Runtime['build']>[1]): ReturnType<Runtime['build']> {
    await Promise.resolve();
    throw runtimeErrors['build-failed'](`${tag} cannot be built on ${this.#options.node}: it runs containerd, which has no builder. Build where Docker is, push it to a registry, and name it from there.`);
  }

  pruneNetworks(): Promise<void> {
    return this.#asking('Removing unused networks', () => this.#networks.prune());
  }

  async removeVolume(name: string): Promise<void> {
    const users = [...(await this.#asking(`Removing the volume ${name}`, () => this.#listed())).values()].filter(({volumes}) => volumes.includes(name));
    if (users[0]) throw runtimeErrors['runtime-conflict'](`Removing the volume ${name} failed: ${users[0].name} uses it.`);
    await this.#volumes.remove(name);
  }

  volumeUsage(names: readonly string[]): ReturnType<Runtime['volumeUsage']> {
    return this.#volumes.usage(names);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#client.close();
    this.#networks.close();
    await this.#pump.release();
    await this.#place.close();
  }

  // --- containers -----------------------------------------------------------------------------------------------------

  async #listed(filter?: string): Promise<ReadonlyMap<string, Kept>> {
    const {cluster} = this.#options;
    const found = new Map<string, Kept>();
    const filters = [`labels."${engineLabels.cluster}"==${JSON.stringify(cluster)}${filter === undefined ? '' : `,${filter}`}`];
    for await (const {container} of this.#client.stream('listContainers', {filters}, AbortSignal.timeout(LIST_MS))) {
      const kept = container && fromExtension(container);
      if (kept) found.set(container.id, kept);
    }
    for (const [runtimeId, kept] of found) this.#kept.set(runtimeId, kept);
    return found;
  }

  async #look(runtimeId: string): Promise<RuntimeContainer | undefined> {
    const [kept, task] = await Promise.all([this.#keptOf(runtimeId), this.#tasks.get(runtimeId)]);
    return kept && this.#described(runtimeId, kept, task);
  }

  async #described(runtimeId: string, kept: Kept, task: Process | undefined): Promise<RuntimeContainer> {
    const run = await this.#place.run(runtimeId);
    return toRuntimeContainer(runtimeId, kept, task, run);
  }

  /** As containerd has it. undefined: it is gone, or not the driver's. */
  async #keptOf(runtimeId: string): Promise<Kept | undefined> {
    try {
      const {container} = await this.#client.call('getContainer', {id: runtimeId});
      return container && fromExtension(container);
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async #known(runtimeId: string): Promise<Kept> {
    const kept = await this.#keptOf(runtimeId);
    if (!kept) throw runtimeErrors['container-not-found']('containerd has no such container.');
    return kept;
  }

  // --- beginnings ---------------------------------------------------------------------------------------------------

  #ensureNamespace(): Promise<void> {
    if (!this.#namespaceMade) {
      this.#namespaceMade = this.#client.call('createNamespace', {namespace: {name: this.#namespace, labels: {}}}).then(() => undefined, (error: unknown) => {
        if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
      });
      this.#namespaceMade.catch(() => (this.#namespaceMade = undefined));
    }
    return this.#namespaceMade;
  }

  #adopt(): Promise<void> {
    const {cluster, logger} = this.#options;
    return adopt({client: this.#client, place: this.#place, pump: this.#pump, networks: this.#networks, cluster, listed: () => this.#listed(), making: this.#making, logger});
  }

  /** Another containerd may answer there now. */
  #forget(): void {
    this.#namespaceMade = undefined;
    this.#snapshots.forget();
    this.#maker.forget();
  }

  #asking<T>(what: string, ask: () => Promise<T>): Promise<T> {
    return asking(this.#client.socketPath, what, ask);
  }
}
