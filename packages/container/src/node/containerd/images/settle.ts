/** The last part of each way in: layers unpacked, what refers to what written down, the image under its name. */
import type {ContainerdClient} from '../api/client.ts';
import type {Descriptor, ImageConfig, Manifest} from '../core/manifest.ts';
import {toTimestamp} from '../core/time.ts';
import type {ImageStore} from './store.ts';
import {unpack} from './unpack.ts';

export interface Settling {
  readonly client: ContainerdClient;
  readonly store: ImageStore;
  readonly snapshotter: () => Promise<string>;
  readonly lease: string;
  /** ms since the epoch. */
  readonly now: () => number;
  /** See `Unpacking`. */
  readonly failed: (why: string, cause?: unknown) => Error;
}

export interface Arrived {
  /** In full. */
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** @param layer resolves when its bytes are in the content store. @throws what `failed` makes; ServiceError of gRPC */
export async function settle({client, store, snapshotter: chosen, lease, now, failed}: Settling, {name, descriptor, manifest, config}: Arrived, layer: (layer: Descriptor) => Promise<void>): Promise<void> {
  const snapshotter = await chosen();
  const chainId = await unpack({client, snapshotter, lease, failed}, manifest.layers, config.rootfs.diff_ids, layer);
  // Also where all was unpacked already: the image is to be had whole.
  await Promise.all(manifest.layers.map(layer));
  const label = `containerd.io/gc.ref.snapshot.${snapshotter}`;
  await client.call('updateContent', {info: {digest: manifest.config.digest, size: 0, labels: {[label]: chainId}}, updateMask: {paths: [`labels.${label}`]}}, {lease});
  await store.put(name, descriptor, toTimestamp(now()));
}

/** What a manifest refers to, for containerd's garbage collection. */
export function referencesOf({config, layers}: Manifest): Readonly<Record<string, string>> {
  return Object.fromEntries([config, ...layers].map(({digest}, at) => [`containerd.io/gc.ref.content.${at}`, digest]));
}
