/** What containers stand on: a writable snapshot each, above those of the image. */
import {type ContainerdClient, isStatus} from './api/client.ts';
import type {Mount} from './api/messages.ts';

export class Snapshots {
  readonly #client: ContainerdClient;
  /** Of those that were asked for by this process. */
  readonly #mounts = new Map<string, readonly Mount[]>();
  /** Made by this process, and nothing has begun on them. */
  readonly #fresh = new Set<string>();
  #snapshotter: Promise<string> | undefined;

  constructor(client: ContainerdClient) {
    this.#client = client;
  }

  /** overlayfs where the machine has it, else copies. */
  snapshotter(): Promise<string> {
    if (!this.#snapshotter) {
      this.#snapshotter = this.#client.call('statSnapshot', {snapshotter: 'overlayfs', key: 'hivemind-probe'}).then(
        () => 'overlayfs',
        (error: unknown) => {
          if (isStatus(error, 'NOT_FOUND')) return 'overlayfs';
          if (isStatus(error, 'INVALID_ARGUMENT')) return 'native';
          throw error;
        },
      );
      this.#snapshotter.catch(() => (this.#snapshotter = undefined));
    }
    return this.#snapshotter;
  }

  /** @param parent The image's. What is there already stays. */
  async prepare(key: string, parent: string): Promise<void> {
    const snapshotter = await this.snapshotter();
    try {
      this.#mounts.set(key, (await this.#client.call('prepareSnapshot', {snapshotter, key, parent})).mounts);
      this.#fresh.add(key);
    } catch (error) {
      if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
    }
  }

  /** Whether it was made by this process and not asked for here before: nothing has ever run on it. */
  takeFresh(key: string): boolean {
    return this.#fresh.delete(key);
  }

  async exists(key: string): Promise<boolean> {
    try {
      await this.#client.call('statSnapshot', {snapshotter: await this.snapshotter(), key});
      return true;
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  /** How it is mounted. */
  async rootfs(key: string): Promise<readonly Mount[]> {
    const known = this.#mounts.get(key);
    if (known) return known;
    const {mounts} = await this.#client.call('mounts', {snapshotter: await this.snapshotter(), key});
    this.#mounts.set(key, mounts);
    return mounts;
  }

  async remove(key: string): Promise<void> {
    this.#mounts.delete(key);
    this.#fresh.delete(key);
    await orGone(this.#client.call('removeSnapshot', {snapshotter: await this.snapshotter(), key}));
  }

  /** Another containerd may answer now. */
  forget(): void {
    this.#snapshotter = undefined;
    this.#mounts.clear();
    this.#fresh.clear();
  }
}

/** What is gone already need not go. */
export async function orGone(asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (!isStatus(error, 'NOT_FOUND')) throw error;
  }
}
