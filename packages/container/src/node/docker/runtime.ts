/**
 * The runtime port on Docker Engine 20.10 (API 1.41) and newer.
 *
 * All it makes carries the label `hivemind.cluster`; it lists, listens and cleans up by that label, so that it never sees
 * what is not its own. Between an assignment and a running container there are two calls, create and start: no image is
 * looked up first, networks are remembered.
 */
import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors, type Runtime, type RuntimeContainer, type RuntimeInfo, type RuntimeSpec} from '@hivemind/runtime';
import {setTimeout as pause} from 'node:timers/promises';
import type {Logger} from 'pino';
import * as z from 'zod';
import {InspectedContainer, ListedContainer, toRuntimeContainer} from './answers.ts';
import {createBody} from './create-body.ts';
import {ANSWER_MS, asking, openEngine, type Engine, type EngineAddress} from './engine.ts';
import {engineWords, isStatus} from './errors.ts';
import {engineEvents} from './events.ts';
import {openExec} from './exec.ts';
import {exportImage, importImages} from './archives.ts';
import {buildImage, hasImage, imageDir, listImages, pullImage, removeImage, usedImages} from './images.ts';
import {logLines, logQuery} from './logs.ts';
import {Networks} from './networks.ts';
import {StatsReader} from './stats.ts';
import {removeVolume, volumeUsage} from './volumes.ts';

export interface DockerRuntimeOptions extends EngineAddress {
  /** Value of the label `hivemind.cluster`. */
  readonly cluster: string;
  /** This machine, for the log. */
  readonly node: string;
  readonly logger: Logger;
  /** ms since the epoch. */
  now(): number;
}

/** Calls at once when every container is looked at. */
const INSPECTIONS = 16;
/** A list is asked for again and again, and says whether the engine is there: it need not wait as long as a start. */
const LIST_MS = 30_000;
const CREATE_TRIES = 5;
const CREATE_RETRY_MS = 50;

/** See `createDockerRuntime`. */
export async function openDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  return new DockerRuntime(await openEngine(options), options);
}

class DockerRuntime implements Runtime {
  readonly #engine: Engine;
  readonly #options: DockerRuntimeOptions;
  readonly #networks: Networks;
  readonly #stats: StatsReader;
  readonly #closing = new AbortController();
  /** The engine's id by ours. */
  readonly #ids = new Map<string, string>();
  #info: Promise<RuntimeInfo & {readonly endpoints: number}> | undefined;

  constructor(engine: Engine, options: DockerRuntimeOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#networks = new Networks(engine, options.cluster);
    this.#stats = new StatsReader(engine);
  }

  async info(): Promise<RuntimeInfo> {
    const {name, version} = await this.#version();
    return {name, version};
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const listed = await this.#listed({});
    const containers: RuntimeContainer[] = [];
    const inspectNext = async (): Promise<void> => {
      for (let next = listed.pop(); next; next = listed.pop()) {
        const container = await this.#look(next.Id);
        if (container) containers.push(container);
      }
    };
    await Promise.all(Array.from({length: INSPECTIONS}, inspectNext));
    return containers;
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    const known = this.#ids.get(id);
    const container = known === undefined ? undefined : await this.#look(known);
    if (container) return container;
    this.#ids.delete(id);
    const [listed] = await this.#listed({[engineLabels.container]: id});
    return listed && this.#look(listed.Id);
  }

  async create(spec: RuntimeSpec): Promise<string> {
    const {networks, name} = spec;
    await Promise.all(networks.map((network) => this.#networks.ensure(network.name, spec.network)));
    const endpoints = networks.length > 1 ? (await this.#version()).endpoints : 1;
    const {runtimeId, found} = await this.#make(name, spec, endpoints);
    this.#ids.set(spec.record.id, runtimeId);
    // What was found may be half made: its later networks are connected again, which costs nothing when they are there.
    for (const network of networks.slice(found ? 1 : endpoints)) await this.#networks.connect(network.name, runtimeId, network.aliases);
    return runtimeId;
  }

  async start(runtimeId: string): Promise<undefined> {
    const container = this.#engine.docker.getContainer(runtimeId);
    return asking(this.#engine, 'Starting the container', async () => {
      try {
        await container.start();
      } catch (error) {
        if (isStatus(error, 304)) return undefined;
        if (/task \S+ already exists/i.test(engineWords(error))) {
          // An engine that was killed amid this start left its task behind, and refuses ever after to start the container: it is made again.
          await container.remove({force: true});
          throw runtimeErrors['container-not-found']('Starting the container failed: the engine had kept a task of it from before it was killed. It was removed, to be made again.', {cause: error});
        }
        if (!isStatus(error, 404) || !/network .* not found/i.test(engineWords(error))) throw error;
        await this.#restoreNetworks(runtimeId);
        await container.start();
      }
      return undefined;
    });
  }

  async stop(runtimeId: string, signal: string, graceMs: number): Promise<void> {
    const container = this.#engine.docker.getContainer(runtimeId);
    const kill = async (name: string): Promise<boolean> => {
      try {
        await container.kill({signal: name});
        return true;
      } catch (error) {
        // Gone, or not running: that is what was asked for.
        if (isStatus(error, 404) || isStatus(error, 409)) return false;
        throw error;
      }
    };
    await asking(this.#engine, 'Stopping the container', async () => {
      if (!(await kill(signal))) return;
      const stopped = this.#waitFor(runtimeId, 'not-running');
      const grace = new AbortController();
      const inTime = await Promise.race([stopped.then(() => true), pause(graceMs, false, {signal: grace.signal})]).finally(() => grace.abort());
      if (inTime) return;
      await kill('SIGKILL');
      await stopped;
    }, graceMs + ANSWER_MS);
  }

  async remove(runtimeId: string): Promise<void> {
    await asking(this.#engine, 'Removing the container', async () => {
      try {
        // `v` takes the anonymous volumes along; named ones stay.
        await this.#engine.docker.getContainer(runtimeId).remove({force: true, v: true});
      } catch (error) {
        if (isStatus(error, 409) && engineWords(error).includes('in progress')) await this.#waitFor(runtimeId, 'removed');
        else if (!isStatus(error, 404)) throw error;
      }
    });
    this.#stats.forget(runtimeId);
    for (const [id, known] of this.#ids) if (known === runtimeId) this.#ids.delete(id);
  }

  async *events(signal: AbortSignal): ReturnType<Runtime['events']> {
    const {cluster, logger, now} = this.#options;
    for await (const event of engineEvents({engine: this.#engine, cluster, logger, now}, AbortSignal.any([signal, this.#closing.signal]))) {
      // Another engine may answer there now, or this one with other settings.
      if (event.type === 'disconnected') this.#forget();
      yield event;
    }
  }

  async *logs(runtimeId: string, options: Parameters<Runtime['logs']>[1], signal: AbortSignal): ReturnType<Runtime['logs']> {
    const path = `/containers/${runtimeId}/logs`;
    try {
      yield* logLines(await asking(this.#engine, 'Reading the log', () => this.#engine.stream({method: 'GET', path, query: logQuery(options), signal})));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  exec(runtimeId: string, options: Parameters<Runtime['exec']>[1]): ReturnType<Runtime['exec']> {
    return openExec(this.#engine, runtimeId, options);
  }

  async stats(ids: readonly string[]): ReturnType<Runtime['stats']> {
    const read = async (id: string): ReturnType<StatsReader['read']> => {
      const runtimeId = this.#ids.get(id) ?? (await this.#listed({[engineLabels.container]: id}))[0]?.Id;
      return runtimeId === undefined ? undefined : this.#stats.read(id, runtimeId);
    };
    return (await Promise.all(ids.map(read))).filter((stats) => stats !== undefined);
  }

  images(): ReturnType<Runtime['images']> {
    return listImages(this.#engine);
  }

  hasImage(image: string): Promise<boolean> {
    return hasImage(this.#engine, image);
  }

  pull(image: string, credentials: Parameters<Runtime['pull']>[1], signal: AbortSignal): ReturnType<Runtime['pull']> {
    return pullImage(this.#engine, image, credentials, signal);
  }

  build(context: AsyncIterable<Uint8Array>, options: Parameters<Runtime['build']>[1], signal: AbortSignal): ReturnType<Runtime['build']> {
    return buildImage(this.#engine, context, options, signal);
  }

  usedImages(): ReturnType<Runtime['usedImages']> {
    return usedImages(this.#engine);
  }

  removeImage(image: string): Promise<void> {
    return removeImage(this.#engine, image);
  }

  imageDir(): ReturnType<Runtime['imageDir']> {
    return imageDir(this.#engine);
  }

  importImages(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): ReturnType<Runtime['importImages']> {
    return importImages(this.#engine, archive, signal);
  }

  exportImage(image: string, signal: AbortSignal): ReturnType<Runtime['exportImage']> {
    return exportImage(this.#engine, image, signal);
  }

  pruneNetworks(): Promise<void> {
    return this.#networks.prune();
  }

  removeVolume(name: string): Promise<void> {
    return removeVolume(this.#engine, this.#options.cluster, name);
  }

  volumeUsage(names: readonly string[]): ReturnType<Runtime['volumeUsage']> {
    return volumeUsage(this.#engine, names);
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#engine.close();
    return Promise.resolve();
  }

  /** Creates, or finds what an earlier try created. The engine takes a name before the container can be looked up, hence the tries. */
  async #make(name: string, spec: RuntimeSpec, endpoints: number): Promise<{readonly runtimeId: string; readonly found: boolean}> {
    const {docker} = this.#engine;
    // As dockerode's own options, all of it would go into the URL too, secrets in the environment with it.
    const {name: _, ...body} = createBody(spec, this.#options.cluster, endpoints);
    for (let tries = 1; ; tries++) {
      const call = {name, _query: {name}, _body: body};
      try {
        return await asking(this.#engine, `Creating ${spec.record.id}`, async () => ({runtimeId: (await docker.createContainer(call)).id, found: false}));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'runtime-conflict')) throw error;
        const existing = await this.#look(name);
        if (existing && existing.labels[engineLabels.cluster] === this.#options.cluster && existing.id === spec.record.id) {
          if (existing.state !== 'dead') return {runtimeId: existing.runtimeId, found: true};
          await this.remove(existing.runtimeId);
        } else if (existing) {
          throw runtimeErrors['runtime-conflict'](`The engine has another container named ${name}. Rename or remove it.`, {cause: error});
        }
        if (tries >= CREATE_TRIES) throw error;
        await pause(CREATE_RETRY_MS);
      }
    }
  }

  /** A stopped container holds its networks by id: made again, they have another, and it has to be told. */
  async #restoreNetworks(runtimeId: string): Promise<void> {
    const inspected = InspectedContainer.parse(await this.#engine.docker.getContainer(runtimeId).inspect());
    if (inspected.Config.Labels[engineLabels.cluster] !== this.#options.cluster) return;
    const address = inspected.Config.Labels[engineLabels.address];
    for (const [network, {Aliases}] of Object.entries(inspected.NetworkSettings.Networks)) {
      await this.#networks.restore(network, address !== undefined);
      await this.#networks.connect(network, runtimeId, Aliases ?? [], address);
    }
  }

  async #waitFor(runtimeId: string, condition: 'not-running' | 'removed'): Promise<void> {
    try {
      await this.#engine.docker.getContainer(runtimeId).wait({condition});
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }

  async #listed(labels: Readonly<Record<string, string>>): Promise<z.infer<typeof ListedContainer>[]> {
    const label = [`${engineLabels.cluster}=${this.#options.cluster}`, ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)];
    const listed = z.array(ListedContainer).parse(await asking(this.#engine, 'Listing containers', () => this.#engine.docker.listContainers({all: true, filters: {label}}), LIST_MS));
    for (const {Id, Labels} of listed) this.#ids.set(Labels[engineLabels.container] ?? '', Id);
    return listed;
  }

  async #look(idOrName: string): Promise<RuntimeContainer | undefined> {
    return asking(this.#engine, 'Looking at a container', async () => {
      try {
        return toRuntimeContainer(InspectedContainer.parse(await this.#engine.docker.getContainer(idOrName).inspect()));
      } catch (error) {
        if (isStatus(error, 404)) return undefined;
        throw error;
      }
    });
  }

  #version(): Promise<RuntimeInfo & {readonly endpoints: number}> {
    if (!this.#info) {
      this.#info = asking(this.#engine, 'Asking for the version', () => this.#engine.docker.version()).then((answer) => {
        const {Version, ApiVersion} = z.object({Version: z.string(), ApiVersion: z.string()}).parse(answer);
        const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
        return {name: 'docker', version: Version, endpoints: major > 1 || minor >= 44 ? Infinity : 1};
      });
      this.#info.catch(() => (this.#info = undefined));
    }
    return this.#info;
  }

  #forget(): void {
    this.#networks.forget();
    this.#info = undefined;
  }
}
