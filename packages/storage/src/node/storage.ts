/** Storage on the machine: mounts for containers, and the data of volumes looked after for the storage manager. */
import {mkdir, stat} from 'node:fs/promises';
import {type Bus, serve, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {NodeHook, Runtime} from '@hivemind/runtime';
import {mountsOf} from '../core/mounts.ts';
import {volumeName} from '../core/names.ts';
import {storageErrors} from '../errors.ts';

export interface StorageOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly cluster: string;
  readonly runtime: Pick<Runtime, 'volumeUsage' | 'removeVolume'>;
  /** Make directories of the machine that a container mounts and that are missing, as Compose does; default true. */
  readonly createHostDirectories?: boolean;
}

export interface Storage {
  readonly hook: NodeHook;
  /** Serves usage and removal. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createStorage({bus, node, cluster, runtime, createHostDirectories = true}: StorageOptions): Storage {
  let subscriptions: Subscription[] = [];
  return {
    hook: {
      name: 'storage',
      async prepare(record) {
        const mounts = mountsOf(record, cluster);
        if (createHostDirectories) for (const mount of mounts) if (mount.type === 'bind') await ensureExists(mount.source);
        return {mounts};
      },
    },
    async start() {
      const to = {node};
      subscriptions = [
        await serve(bus, subjects.volumeUsage, to, async ({volumes}) => {
          const names = new Map(volumes.map((volume) => [volumeName(cluster, volume.namespace, volume.name), volume]));
          const usage = await runtime.volumeUsage([...names.keys()]);
          return {volumes: usage.flatMap(({name, bytes, path}) => {
            const volume = names.get(name);
            return volume ? [{...volume, bytes, path}] : [];
          })};
        }),
        await serve(bus, subjects.removeVolume, to, async ({namespace, name}) => {
          await runtime.removeVolume(volumeName(cluster, namespace, name));
          return {};
        }),
      ];
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      subscriptions = [];
    },
  };
}

/** A file that exists is as good as a directory; what is missing becomes a directory. */
async function ensureExists(path: string): Promise<void> {
  if (await stat(path).then(() => true, () => false)) return;
  await mkdir(path, {recursive: true}).catch((error: unknown) => {
    throw storageErrors['host-path-unavailable'](`The directory ${path} of the machine does not exist and could not be made: ${String(error)}.`, {cause: error});
  });
}
