/** Layers into snapshots: each is applied to a copy of what is below it, and named by OCI's chain id. */
import {randomUUID} from 'node:crypto';
import {type ContainerdClient, isStatus, wordsOf} from '../api/client.ts';
import {chainIds, type Descriptor} from '../core/manifest.ts';
import {sha256} from './store.ts';

export interface Unpacking {
  readonly client: ContainerdClient;
  readonly snapshotter: string;
  readonly lease: string;
  /** What is thrown where the image is at fault. @param why begins with it */
  readonly failed: (why: string, cause?: unknown) => Error;
}

/** Layers are applied for as long as disks take. */
const APPLY_MS = 30 * 60_000;

/**
 * Unpacks what is not unpacked yet. `arrived` resolves when a layer's bytes are in the content store.
 * @returns the snapshot of the whole
 * @throws as `failed` says, where layers are not what the config says, or cannot be unpacked
 */
export async function unpack(how: Unpacking, layers: readonly Descriptor[], diffIds: readonly string[], arrived: (layer: Descriptor) => Promise<void>): Promise<string> {
  if (layers.length !== diffIds.length || layers.length === 0) throw how.failed(`it names ${layers.length} layers and describes ${diffIds.length}`);
  const chain = chainIds(diffIds, sha256);
  let below = '';
  for (const [at, layer] of layers.entries()) {
    const name = chain[at] ?? '';
    if (!(await exists(how, name))) {
      await arrived(layer);
      await apply(how, layer, {name, parent: below, diffId: diffIds[at] ?? ''});
    }
    below = name;
  }
  return below;
}

interface Place {
  readonly name: string;
  readonly parent: string;
  readonly diffId: string;
}

async function apply(how: Unpacking, layer: Descriptor, {name, parent, diffId}: Place): Promise<void> {
  const {client, snapshotter, lease} = how;
  const key = `extract-${randomUUID()} ${name}`;
  const {mounts} = await client.call('prepareSnapshot', {snapshotter, key, parent}, {lease});
  try {
    const {applied} = await client.call('applyDiff', {diff: {...layer, annotations: {}}, mounts}, {lease, deadlineMs: APPLY_MS});
    if (applied?.digest !== diffId) throw how.failed(`the layer ${layer.digest} holds ${applied?.digest ?? 'nothing'}, and ${diffId} was promised`);
    await client.call('commitSnapshot', {snapshotter, name, key}, {lease});
  } catch (error) {
    await client.call('removeSnapshot', {snapshotter, key}).catch(() => undefined);
    // Another pull of a shared layer was faster.
    if (isStatus(error, 'ALREADY_EXISTS')) return;
    if (error instanceof Error && 'details' in error) throw how.failed(`the layer ${layer.digest} cannot be unpacked (${wordsOf(error)})`, error);
    throw error;
  }
}

async function exists({client, snapshotter}: Unpacking, key: string): Promise<boolean> {
  try {
    await client.call('statSnapshot', {snapshotter, key});
    return true;
  } catch (error) {
    if (isStatus(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
