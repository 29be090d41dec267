/**
 * The one watch of a process, shared by its informers.
 *
 * It follows every collection, so that each informer knows how far it has come even when nothing of its own changed. A
 * batch is first applied to all caches, and only then are listeners told: who looks from a listener at another cache sees
 * the same revision there.
 */
import {isError} from '@hivemind/contracts';
import {backoff, pause} from './backoff.ts';
import {systemClock} from './clock.ts';
import type {Store, WatchBatch} from './store.ts';

export interface FeedMember {
  /** Take a batch into the cache; answers what tells the listeners. */
  apply(batch: WatchBatch): () => void;
  /** The watch has a gap: list again. Batches that come until then are later than the gap. */
  resync(): void;
  onError(error: unknown): void;
}

export class Feed {
  readonly #store: Store;
  readonly #members = new Set<FeedMember>();
  #stop: AbortController | undefined;
  #started: Promise<void> = Promise.resolve();

  private constructor(store: Store) {
    this.#store = store;
  }

  static readonly #feeds = new WeakMap<Store, Feed>();

  /** The feed of this store; made at first use, gone with the store. */
  static of(store: Store): Feed {
    let feed = Feed.#feeds.get(store);
    if (!feed) Feed.#feeds.set(store, (feed = new Feed(store)));
    return feed;
  }

  /** Resolves when everything committed from now on will be delivered. */
  async join(member: FeedMember): Promise<void> {
    this.#members.add(member);
    if (!this.#stop) {
      const stop = (this.#stop = new AbortController());
      this.#started = new Promise((resolve) => void this.#run(stop.signal, resolve));
    }
    await this.#started;
  }

  leave(member: FeedMember): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#stop?.abort();
    this.#stop = undefined;
  }

  async #run(signal: AbortSignal, started: () => void): Promise<void> {
    let from = undefined;
    let failures = 0;
    let gap = false;
    while (!signal.aborted) {
      try {
        from ??= await this.#store.revision();
        for await (const batch of this.#store.watch({from, signal})) {
          failures = 0;
          from = batch.revision;
          started();
          if (gap) for (const member of this.#members) member.resync();
          gap = false;
          if (batch.events.length > 0) this.#deliver(batch);
        }
      } catch (error) {
        if (signal.aborted) break;
        if (isError(error, 'closed')) {
          for (const member of this.#members) member.onError(error);
          break;
        }
        if (isError(error, 'compacted')) {
          from = undefined;
          gap = true;
          if (failures++ === 0) continue;
        } else {
          for (const member of this.#members) member.onError(error);
        }
        await pause(systemClock, backoff(++failures, Math.random()), signal);
      }
    }
    started();
  }

  #deliver(batch: WatchBatch): void {
    const notifications: (() => void)[] = [];
    for (const member of this.#members) notifications.push(member.apply(batch));
    for (const notify of notifications) notify();
  }
}
