/** The images that containerd has, and what is known of each: its config, and the snapshot that containers start from. */
import {createHash} from 'node:crypto';
import {runtimeErrors, type Runtime} from '@hivemind/runtime';
import {type ContainerdClient, isStatus} from '../api/client.ts';
import type {Timestamp} from '../api/messages.ts';
import {familiarName, parseImageName} from '../../../core/image-name.ts';
import {chainIds, type Descriptor, ImageConfig, Manifest} from '../core/manifest.ts';
import {fromTimestamp} from '../core/time.ts';
import {readDocument} from './content.ts';

export interface KnownImage {
  readonly name: string;
  /** Of the manifest. */
  readonly digest: string;
  readonly config: ImageConfig;
  /** Bytes, as they are pulled. */
  readonly size: number;
  /** Name of the snapshot with all layers. */
  readonly chainId: string;
}

/** What was read of images is remembered: it never changes for a digest. */
const REMEMBERED = 200;

export class ImageStore {
  readonly #client: ContainerdClient;
  readonly #byDigest = new Map<string, Promise<Omit<KnownImage, 'name'>>>();

  constructor(client: ContainerdClient) {
    this.#client = client;
  }

  /** undefined: the machine does not have it. @throws ServiceError of gRPC */
  async find(written: string): Promise<KnownImage | undefined> {
    const name = parseImageName(written)?.full;
    if (name === undefined) return undefined;
    try {
      const {image} = await this.#client.call('getImage', {name});
      return image?.target && {name, ...(await this.#read(image.target.digest))};
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Under its name from now on, whatever had it before. */
  async put(name: string, {digest, size, mediaType}: Descriptor, now: Timestamp): Promise<void> {
    const image = {name, labels: {}, target: {digest, size, mediaType, annotations: {}}, createdAt: now, updatedAt: now};
    try {
      await this.#client.call('createImage', {image});
    } catch (error) {
      if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
      await this.#client.call('updateImage', {image, updateMask: {paths: ['target']}});
    }
  }

  async list(): ReturnType<Runtime['images']> {
    const {images} = await this.#client.call('listImages', {});
    const byDigest = Map.groupBy(images.filter(({target}) => target !== undefined), ({target}) => target?.digest ?? '');
    const known = await Promise.all([...byDigest].map(async ([digest, same]) => {
      const [first] = same;
      // One that is being removed, or that somebody made for another platform, is not shown.
      const read = await this.#read(digest).catch(() => undefined);
      return read && first && {
        id: digest,
        tags: same.map(({name}) => name).filter((name) => !name.includes('@')).map(familiarName),
        digests: [...new Set(same.map(({name}) => `${familiarName(name.replace(/@.*|:[^:/]*$/, ''))}@${digest}`))],
        size: read.size,
        createdAt: read.config.created ?? fromTimestamp(first.createdAt) ?? '',
      };
    }));
    return known.filter((image) => image !== undefined);
  }

  #read(digest: string): Promise<Omit<KnownImage, 'name'>> {
    const known = this.#byDigest.get(digest);
    if (known) return known;
    const reading = this.#readNew(digest);
    reading.catch(() => this.#byDigest.delete(digest));
    this.#byDigest.set(digest, reading);
    const [oldest] = this.#byDigest.keys();
    if (this.#byDigest.size > REMEMBERED && oldest !== undefined) this.#byDigest.delete(oldest);
    return reading;
  }

  async #readNew(digest: string): Promise<Omit<KnownImage, 'name'>> {
    const manifest = Manifest.parse(await readDocument(this.#client, digest));
    const config = ImageConfig.parse(await readDocument(this.#client, manifest.config.digest));
    const chainId = chainIds(config.rootfs.diff_ids, sha256).at(-1);
    if (chainId === undefined) throw runtimeErrors['start-failed'](`The image ${digest} has no layers.`);
    return {digest, config, chainId, size: manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size)};
  }
}

export function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
