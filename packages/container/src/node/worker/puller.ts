/** One pull an image at a time, however many containers wait for it; each of them sees the progress. */
import type {RegistryCredentials} from '@hivemind/contracts';
import {type Runtime, runtimeErrors} from '@hivemind/runtime';
import type * as z from 'zod';

type Credentials = z.infer<typeof RegistryCredentials>;
type Watcher = (progress: string) => void;

interface Pull {
  readonly done: Promise<void>;
  readonly watchers: Set<Watcher>;
  readonly abort: AbortController;
}

export class Puller {
  readonly #runtime: Runtime;
  readonly #pulls = new Map<string, Pull>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Resolves when the image is on the machine. The pull itself is given up when nobody waits for it any more.
   * @throws `image-not-found`, `image-unauthorized`, `image-pull-failed`, `runtime-unavailable`
   */
  async pull(image: string, credentials: Credentials | undefined, watcher: Watcher, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Who may pull an image privately must not lend that to others: credentials are part of the key.
    const key = JSON.stringify([image, credentials]);
    const pull = this.#pulls.get(key) ?? this.#begin(key, image, credentials);
    pull.watchers.add(watcher);
    const given = Promise.withResolvers<never>();
    const giveUp = (): void => given.reject(signal.reason);
    signal.addEventListener('abort', giveUp, {once: true});
    try {
      await Promise.race([pull.done, given.promise]);
    } finally {
      signal.removeEventListener('abort', giveUp);
      pull.watchers.delete(watcher);
      if (pull.watchers.size === 0) pull.abort.abort();
    }
  }

  #begin(key: string, image: string, credentials: Credentials | undefined): Pull {
    const watchers = new Set<Watcher>();
    const abort = new AbortController();
    const done = this.#run(image, credentials, watchers, abort.signal).finally(() => this.#pulls.delete(key));
    // Each waiter sees the error; with none left there is nobody to tell.
    done.catch(() => undefined);
    const pull = {done, watchers, abort};
    this.#pulls.set(key, pull);
    return pull;
  }

  async #run(image: string, credentials: Credentials | undefined, watchers: ReadonlySet<Watcher>, signal: AbortSignal): Promise<void> {
    const layers = new Map<string, {current: number; total: number}>();
    let shown = '';
    for await (const progress of this.#runtime.pull(image, credentials, signal)) {
      if (progress.error !== undefined) throw runtimeErrors['image-pull-failed'](progress.error);
      if (progress.layer === undefined) continue;
      const known = layers.get(progress.layer);
      layers.set(progress.layer, {current: progress.current ?? known?.current ?? 0, total: progress.total ?? known?.total ?? 0});
      const text = describe([...layers.values()]);
      if (text !== shown) for (const watcher of watchers) watcher(text);
      shown = text;
    }
  }
}

/** As in `3/7 layers, 12 of 40 MB`. */
function describe(layers: readonly {readonly current: number; readonly total: number}[]): string {
  const complete = layers.filter(({current, total}) => total > 0 && current >= total).length;
  const megabytes = (field: 'current' | 'total'): number => Math.round(layers.reduce((sum, layer) => sum + layer[field], 0) / 1e6);
  return `${complete}/${layers.length} layers, ${megabytes('current')} of ${megabytes('total')} MB`;
}
