/**
 * An indexed cache of a collection: lists it, then follows the feed, without a gap.
 *
 * The feed runs before the list is asked for, and what it brings meanwhile waits; an event not newer than what the cache
 * holds for its key is skipped. So it does not matter that the pages of a list are not of one moment. After a gap
 * (compaction, new epoch) the collection is listed again and listeners hear of the differences; until then the cache
 * answers with what it had.
 */
import {isError} from '@hivemind/contracts';
import {backoff, pause} from './backoff.ts';
import {systemClock} from './clock.ts';
import type {CollectionDefinition, Stored} from './collection.ts';
import {storeErrors} from './errors.ts';
import {Feed, type FeedMember} from './feed.ts';
import {IndexedCache, type IndexFunction} from './indexed-cache.ts';
import type {Revision, Store, WatchBatch} from './store.ts';

export interface InformerOptions<T extends object, I extends string> {
  readonly store: Store;
  readonly collection: CollectionDefinition<T>;
  /** Index name → the values that a record is found under. */
  readonly indexes?: Readonly<Record<I, IndexFunction<T>>>;
  /** Ends the informer. */
  readonly signal: AbortSignal;
  /** Told of records that cannot be read (they are left out, or stay as they were) and of a store that does not answer. */
  readonly onError?: (error: unknown) => void;
}

/** `before` undefined: created; `after` undefined: deleted. Called once a key and batch, in order; must not throw. */
export type ChangeListener<T> = (key: string, before: Stored<T> | undefined, after: Stored<T> | undefined) => void;

export interface Informer<T extends object, I extends string = never> {
  get(key: string): Stored<T> | undefined;
  /** In no particular order. */
  list(): readonly Stored<T>[];
  byIndex(index: I, value: string): readonly Stored<T>[];
  /** Keys of records that exist but cannot be read. What the cache last read of them it keeps: unreadable is not gone. */
  readonly unreadable: ReadonlySet<string>;
  /** Hears of changes from now on, the first list included when it is not there yet; answers how to stop. */
  onChange(listener: ChangeListener<T>): () => void;
  /** Resolves when the first list is in the cache; rejects with `closed` when the informer ended before. */
  ready(): Promise<void>;
  /** Up to where the cache has come; n is 0 before `ready`. */
  readonly revision: Revision;
  /** Resolves when the cache holds everything up to `n`; rejects with `closed` when the informer (or `signal`) ends before. */
  waitForRevision(n: number, signal?: AbortSignal): Promise<void>;
}

/** Starts at once. All informers of a store share one watch, and stand at one revision. */
export function informer<T extends object, I extends string = never>(options: InformerOptions<T, I>): Informer<T, I> {
  return new StoreInformer(options);
}

interface Waiter {
  readonly n: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class StoreInformer<T extends object, I extends string> implements Informer<T, I>, FeedMember {
  readonly #options: InformerOptions<T, I>;
  readonly #feed: Feed;
  readonly #cache: IndexedCache<T, I>;
  readonly #listeners = new Set<ChangeListener<T>>();
  readonly #waiters = new Set<Waiter>();
  readonly unreadable = new Set<string>();
  /** What the feed brought while a list is under way; undefined when the cache follows. */
  #held: WatchBatch[] | undefined = [];
  #revision: Revision = {epoch: '', n: 0};
  /** Raised by each gap: a list that began before it is of no use. */
  #gaps = 0;
  #ended = false;

  constructor(options: InformerOptions<T, I>) {
    this.#options = options;
    this.#cache = new IndexedCache(options.indexes);
    this.#feed = Feed.of(options.store);
    if (options.signal.aborted) this.#end();
    else {
      options.signal.addEventListener('abort', () => this.#end(), {once: true});
      void this.#feed.join(this).then(() => this.#sync());
    }
  }

  get revision(): Revision {
    return this.#revision;
  }

  get(key: string): Stored<T> | undefined {
    return this.#cache.get(key);
  }

  list(): readonly Stored<T>[] {
    return this.#cache.list();
  }

  byIndex(index: I, value: string): readonly Stored<T>[] {
    return this.#cache.byIndex(index, value);
  }

  onChange(listener: ChangeListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ready(): Promise<void> {
    return this.waitForRevision(0);
  }

  waitForRevision(n: number, signal?: AbortSignal): Promise<void> {
    if (this.#ended || signal?.aborted) return Promise.reject(ended());
    if (this.#synced && this.#revision.n >= n) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => waiter.reject(ended());
      const settle = (how: () => void): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        how();
      };
      const waiter: Waiter = {n, resolve: () => settle(resolve), reject: (error) => settle(() => reject(error))};
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort);
    });
  }

  apply(batch: WatchBatch): () => void {
    if (this.#held) {
      this.#held.push(batch);
      return () => undefined;
    }
    const before = new Map<string, Stored<T> | undefined>();
    this.#take(batch, before);
    this.#revision = batch.revision;
    return () => this.#notify(before);
  }

  resync(): void {
    this.#gaps += 1;
    // A list that is under way sees this and begins again.
    if (this.#held) this.#held = [];
    else {
      this.#held = [];
      void this.#sync();
    }
  }

  onError(error: unknown): void {
    this.#options.onError?.(error);
  }

  get #synced(): boolean {
    return this.#revision.epoch !== '';
  }

  async #sync(): Promise<void> {
    const {store, collection, signal} = this.#options;
    for (let failures = 1; !this.#ended; ) {
      const gaps = this.#gaps;
      try {
        const {items, revision, unreadable} = await collection.in(store).list();
        if (gaps !== this.#gaps) continue;
        this.#replace(items, unreadable.map(({key}) => key), revision);
        for (const {error} of unreadable) this.onError(error);
        return;
      } catch (error) {
        if (this.#ended) return;
        this.onError(error);
        if (isError(error, 'closed')) return this.#end();
        await pause(systemClock, backoff(failures++, Math.random()), signal);
      }
    }
  }

  /** The cache becomes the list plus what the feed brought since; listeners hear of the whole as one change. */
  #replace(items: readonly Stored<T>[], unreadable: readonly string[], revision: Revision): void {
    if (this.#ended) return;
    const before = new Map<string, Stored<T> | undefined>();
    const listed = new Set([...items.map(({key}) => key), ...unreadable]);
    this.unreadable.clear();
    for (const key of unreadable) this.unreadable.add(key);
    for (const {key} of this.#cache.list()) if (!listed.has(key)) this.#change(key, undefined, before);
    for (const item of items) this.#change(item.key, item, before);
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#revision = revision;
    for (const batch of held) {
      this.#take(batch, before);
      if (batch.revision.n > this.#revision.n) this.#revision = batch.revision;
    }
    this.#notify(before);
  }

  #take(batch: WatchBatch, before: Map<string, Stored<T> | undefined>): void {
    const {collection} = this.#options;
    for (const event of batch.events) {
      const {collection: name, key, version} = event.type === 'put' ? event.record : event;
      if (name !== collection.name || version <= (this.#cache.get(key)?.version ?? 0)) continue;
      try {
        this.#change(key, event.type === 'put' ? collection.decode(event.record) : undefined, before);
      } catch (error) {
        if (!isError(error, 'unreadable-record')) throw error;
        this.unreadable.add(key);
        this.onError(error);
      }
    }
  }

  #change(key: string, after: Stored<T> | undefined, before: Map<string, Stored<T> | undefined>): void {
    this.unreadable.delete(key);
    const found = this.#cache.set(key, after);
    if (!before.has(key)) before.set(key, found);
  }

  #notify(changes: ReadonlyMap<string, Stored<T> | undefined>): void {
    for (const [key, before] of changes) {
      const after = this.#cache.get(key);
      if (before?.version === after?.version && before?.raw === after?.raw) continue;
      for (const listener of this.#listeners) listener(key, before, after);
    }
    for (const waiter of this.#waiters) if (this.#revision.n >= waiter.n) waiter.resolve();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#feed.leave(this);
    for (const waiter of this.#waiters) waiter.reject(ended());
  }
}

const ended = (): Error => storeErrors.closed('The informer has ended.');
