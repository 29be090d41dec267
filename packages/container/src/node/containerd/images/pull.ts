/**
 * Pulls an image: its manifest, then config and layers beside each other, each unpacked as soon as it and those below it are
 * there. All of it under a lease, so that containerd's garbage collection takes nothing meanwhile; the lease lapses by itself
 * should this process die.
 */
import type {PullProgress, RegistryCredentials} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {once} from 'node:events';
import {setTimeout as pause} from 'node:timers/promises';
import type * as z from 'zod';
import {type ContainerdClient, isStatus, wordsOf} from '../api/client.ts';
import {type ImageName, parseImageName} from '../../../core/image-name.ts';
import {type Descriptor, forPlatform, ImageConfig, Index, indexTypes, Manifest, type Platform} from '../core/manifest.ts';
import {Gate} from '../../worker/gate.ts';
import {abortContent, hasContent, readDocument, writeContent} from './content.ts';
import {beginLease, endLeftLeases} from './lease.ts';
import {type RegistrySettings, repositoriesOf, type Repository} from './registry.ts';
import {referencesOf, settle} from './settle.ts';
import {type ImageStore, sha256} from './store.ts';

type Progress = z.infer<typeof PullProgress>;
type Credentials = z.infer<typeof RegistryCredentials>;

export interface PullerOptions {
  readonly client: ContainerdClient;
  readonly store: ImageStore;
  readonly snapshotter: () => Promise<string>;
  readonly registries: RegistrySettings;
  readonly platform: Platform;
  /** ms since the epoch. */
  now(): number;
}

/** Layers on their way at once, over all pulls. */
const PARALLEL = 4;
/** Pieces of them at containerd at once. */
const PIECES = 4;
/** Progress is told as often (bytes). */
const TELL_BYTES = 2 ** 20;
/** Another process writes the same blob. */
const BUSY_MS = 200;

interface Source {
  readonly image: ImageName;
  readonly repository: Repository;
  readonly lease: string;
  readonly tell: (progress: Progress) => void;
}

export class ImagePuller {
  readonly #options: PullerOptions;
  readonly #gate = new Gate(PARALLEL);
  /** Where this machine is what is slow, layers come in the order in which they are unpacked: the first pull's before the next one's. */
  readonly #order = new Gate(PIECES);
  /** Layers begun so far, of all pulls: the rank of the next. */
  #begun = 0;
  /** Blobs on their way, by digest: images share layers. */
  readonly #arriving = new Map<string, Promise<void>>();

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** @throws `image-not-found`, `image-unauthorized`, `image-pull-failed`, ServiceError of gRPC; the signal's reason */
  async *pull(written: string, credentials: Credentials | undefined, signal: AbortSignal): AsyncGenerator<Progress> {
    const image = parseImageName(written);
    if (!image) throw runtimeErrors['image-not-found'](`${written} is not the name of an image.`);
    const told: Progress[] = [];
    let wake = Promise.withResolvers<void>();
    const over = new AbortController();
    const tell = (progress: Progress): void => {
      told.push(progress);
      wake.resolve();
    };
    let done = false;
    const pulling = this.#pull(image, credentials, tell, AbortSignal.any([signal, over.signal])).finally(() => {
      done = true;
      wake.resolve();
    });
    pulling.catch(() => undefined);
    try {
      while (!done || told.length > 0) {
        yield* told.splice(0);
        if (done) continue;
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
      await pulling;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      over.abort();
      await pulling.catch(() => undefined);
    }
    yield {status: `Pulled ${written}`, done: true};
  }

  async #pull(image: ImageName, credentials: Credentials | undefined, tell: Source['tell'], signal: AbortSignal): Promise<void> {
    const {client, registries, now} = this.#options;
    const lease = await beginLease(client, now());
    try {
      let failure: unknown;
      const repositories = repositoriesOf(image, credentials, registries, signal);
      for (const repository of repositories) {
        try {
          await this.#from({image, repository, lease, tell}, signal);
          return;
        } catch (error) {
          signal.throwIfAborted();
          // What a mirror says is of no interest once the registry itself is asked.
          failure = error;
        }
      }
      throw failure;
    } finally {
      await client.call('deleteLease', {id: lease}).catch(() => undefined);
      await endLeftLeases(client).catch(() => undefined);
    }
  }

  async #from(source: Source, signal: AbortSignal): Promise<void> {
    const {client, store, snapshotter, now} = this.#options;
    const {image, lease, tell} = source;
    tell({status: `Pulling ${image.full}`});
    const {descriptor, manifest} = await this.#manifest(source);
    const config = this.#config(source, manifest, signal);
    const arriving = new Map<string, Promise<void>>();
    for (const layer of manifest.layers) {
      // Images have the same layer twice, most of all the empty one.
      if (arriving.has(layer.digest)) continue;
      const coming = this.#layer(source, layer, ++this.#begun, signal);
      // Each is waited for in its turn; one that fails early is heard of then.
      coming.catch(() => undefined);
      arriving.set(layer.digest, coming);
    }
    const failed = (why: string, cause?: unknown): Error => runtimeErrors['image-pull-failed'](`The image ${image.full} could not be pulled: ${why}.`, {cause});
    try {
      const unpacked = new Set<string>();
      await settle({client, store, snapshotter, lease, now, failed}, {name: image.full, descriptor, manifest, config: await config}, async (layer) => {
        await arriving.get(layer.digest);
        if (!unpacked.has(layer.digest)) tell({status: 'Unpacking', layer: short(layer.digest), current: layer.size, total: layer.size});
        unpacked.add(layer.digest);
      });
    } finally {
      await Promise.allSettled(arriving.values());
    }
  }

  /** The one for this machine, in the content store. */
  async #manifest({repository, image, lease}: Source): Promise<{readonly descriptor: Descriptor; readonly manifest: Manifest}> {
    const {client, platform} = this.#options;
    let wanted = image.reference;
    let {bytes, mediaType} = await repository.manifest(wanted);
    verify(bytes, wanted, image);
    if (indexTypes.includes(mediaType)) {
      const found = forPlatform(parsed(Index, bytes, image).manifests, platform);
      if (!found) throw runtimeErrors['image-not-found'](`The image ${image.full} does not exist for ${platform.os}/${platform.architecture}.`);
      wanted = found.digest;
      ({bytes, mediaType} = await repository.manifest(wanted));
      verify(bytes, wanted, image);
    }
    const manifest = parsed(Manifest, bytes, image);
    const descriptor = {mediaType: manifest.mediaType ?? mediaType, digest: sha256(bytes), size: bytes.length};
    await writeContent(client, {digest: descriptor.digest, size: descriptor.size, lease, labels: referencesOf(manifest)}, whole(bytes));
    return {descriptor, manifest};
  }

  async #config(source: Source, {config}: Manifest, signal: AbortSignal): Promise<ImageConfig> {
    const {client, platform} = this.#options;
    await this.#blob(source, config, 0, () => undefined, signal);
    const {data, success} = ImageConfig.safeParse(await readDocument(client, config.digest));
    const {full} = source.image;
    if (!success) throw runtimeErrors['image-pull-failed'](`The image ${full} is not one that can be run: its config is not an image's.`);
    if (data.architecture !== undefined && data.architecture !== platform.architecture) {
      throw runtimeErrors['image-not-found'](`The image ${full} does not exist for ${platform.os}/${platform.architecture}: it is for ${data.os ?? 'linux'}/${data.architecture}.`);
    }
    return data;
  }

  async #layer(source: Source, layer: Descriptor, rank: number, signal: AbortSignal): Promise<void> {
    const {tell} = source;
    const name = short(layer.digest);
    let told = -TELL_BYTES;
    const progress = (current: number): void => {
      if (current > told && current - told < TELL_BYTES) return;
      told = current;
      tell({status: 'Downloading', layer: name, current, total: layer.size});
    };
    progress(0);
    await this.#gate.pass(() => this.#blob(source, layer, rank, progress, signal), rank, signal);
    tell({status: 'Downloaded', layer: name, current: layer.size, total: layer.size});
  }

  async #blob(source: Source, blob: Descriptor, rank: number, progress: (current: number) => void, signal: AbortSignal): Promise<void> {
    // Credentials of one must not open what another may not see: only who comes through with the manifest gets here.
    for (let other = this.#arriving.get(blob.digest); other; other = this.#arriving.get(blob.digest)) {
      signal.throwIfAborted();
      await Promise.race([other.catch(() => undefined), once(signal, 'abort')]);
    }
    const arriving = this.#fetch(source, blob, rank, progress, signal).finally(() => this.#arriving.delete(blob.digest));
    this.#arriving.set(blob.digest, arriving);
    await arriving;
  }

  async #fetch({repository, image, lease}: Source, {digest, size}: Descriptor, rank: number, progress: (current: number) => void, signal: AbortSignal): Promise<void> {
    const {client} = this.#options;
    const open = async function* (offset: number): AsyncGenerator<Uint8Array> {
      let current = offset;
      for await (const chunk of repository.blob(digest, size, offset)) {
        current += chunk.length;
        progress(current);
        yield chunk;
      }
    };
    while (true) {
      signal.throwIfAborted();
      // Under the lease even where it is there: its image may be removed meanwhile.
      try {
        if (!(await hasContent(client, digest))) progress(0);
        await writeContent(client, {digest, size, lease}, open, (send) => this.#order.pass(send, rank, signal));
        return;
      } catch (error) {
        if (isStatus(error, 'UNAVAILABLE') && /locked/.test(wordsOf(error))) {
          await pause(BUSY_MS, undefined, {signal});
          continue;
        }
        if (!isStatus(error, 'FAILED_PRECONDITION')) throw error;
        await abortContent(client, digest);
        throw runtimeErrors['image-pull-failed'](`The image ${image.full} could not be pulled: what the registry gave for ${digest} is something else (${wordsOf(error)}).`, {cause: error});
      }
    }
  }
}

function verify(bytes: Buffer, wanted: string, {full}: ImageName): void {
  if (wanted.includes(':') && sha256(bytes) !== wanted) throw runtimeErrors['image-pull-failed'](`The image ${full} could not be pulled: what the registry gave for ${wanted} is something else.`);
}

function parsed<T>(schema: z.ZodType<T>, bytes: Buffer, {full}: ImageName): T {
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw runtimeErrors['image-pull-failed'](`The image ${full} could not be pulled: the registry gave no manifest that is understood.`, {cause: error});
  }
}

function whole(bytes: Buffer): (offset: number) => AsyncGenerator<Uint8Array> {
  return async function* (offset) {
    await Promise.resolve();
    yield bytes.subarray(offset);
  };
}

/** As Docker shows layers. */
function short(digest: string): string {
  return digest.slice(7, 19);
}
