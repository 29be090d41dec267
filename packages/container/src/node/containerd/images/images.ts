/** All that the driver does with images. */
import {runtimeErrors, type Runtime} from '@hivemind/runtime';
import type {ContainerdClient} from '../api/client.ts';
import {platformOf} from '../core/manifest.ts';
import {parseImageName} from '../../../core/image-name.ts';
import {orGone} from '../snapshots.ts';
import {exportImage} from './export.ts';
import {importImages} from './import.ts';
import {ImagePuller} from './pull.ts';
import type {RegistrySettings} from './registry.ts';
import {ImageStore, type KnownImage} from './store.ts';

export interface ImagesOptions {
  readonly client: ContainerdClient;
  readonly snapshotter: () => Promise<string>;
  readonly registries: RegistrySettings;
  /** ms since the epoch. */
  now(): number;
}

const LIST_MS = 30_000;

export class Images {
  readonly #options: ImagesOptions;
  readonly #store: ImageStore;
  readonly #puller: ImagePuller;
  readonly #platform = platformOf(process.arch);

  constructor(options: ImagesOptions) {
    this.#options = options;
    this.#store = new ImageStore(options.client);
    this.#puller = new ImagePuller({...options, now: () => options.now(), store: this.#store, platform: this.#platform});
  }

  list(): ReturnType<Runtime['images']> {
    return this.#store.list();
  }

  find(image: string): Promise<KnownImage | undefined> {
    return this.#store.find(image);
  }

  pull(...asked: Parameters<ImagePuller['pull']>): ReturnType<ImagePuller['pull']> {
    return this.#puller.pull(...asked);
  }

  /** Of any container in containerd's namespace. */
  async used(): Promise<ReadonlySet<string>> {
    const {client} = this.#options;
    const {images} = await client.call('listImages', {});
    const byName = new Map(images.map(({name, target}) => [name, target?.digest]));
    const used = new Set<string>();
    const enough = AbortSignal.timeout(LIST_MS);
    for await (const {container} of client.stream('listContainers', {filters: []}, enough)) {
      const digest = container && byName.get(container.image);
      if (digest !== undefined) used.add(digest);
    }
    // Half a list would free what is in use.
    enough.throwIfAborted();
    return used;
  }

  /** @throws `runtime-conflict` where it is the last name of what a container is made from */
  async remove(image: string): Promise<void> {
    const {client} = this.#options;
    const name = parseImageName(image)?.full;
    const {images} = await client.call('listImages', {});
    const found = images.find((each) => each.name === name);
    if (name === undefined || found === undefined) return;
    const digest = found.target?.digest ?? '';
    const last = images.filter(({target}) => target?.digest === digest).length === 1;
    if (last && (await this.used()).has(digest)) throw runtimeErrors['runtime-conflict'](`Removing the image ${image} failed: a container is made from it. Remove that first.`);
    await orGone(client.call('deleteImage', {name, sync: true}));
  }

  /** Where layers are unpacked, which is most of it. */
  async dir(): Promise<string | undefined> {
    const {client, snapshotter} = this.#options;
    const [name, {plugins}] = await Promise.all([snapshotter(), client.call('plugins', {filters: ['type==io.containerd.snapshotter.v1']})]);
    return plugins.find(({id}) => id === name)?.exports['root'];
  }

  import(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): ReturnType<Runtime['importImages']> {
    const {client, snapshotter, now} = this.#options;
    return importImages({client, snapshotter, now, store: this.#store, platform: this.#platform}, archive, signal);
  }

  async *export(image: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const found = await this.#store.find(image);
    if (!found) throw runtimeErrors['image-not-found'](`The image ${image} is not on this machine: pull it first.`);
    yield* exportImage(this.#options.client, found, signal);
  }
}
