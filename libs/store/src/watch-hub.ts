/**
 * Fans one change log out to many watchers.
 *
 * A watcher is either *following* (live batches go to its small queue) or *lagging* (it reads the log from where it is).
 * It starts lagging, and becomes lagging again when its queue is full: a slow watcher costs log reads, never memory.
 * The queue is opened before the log is read, so whatever is committed after that read is in the queue; what is in both
 * is told apart by revision. Hence no gap and no repeat.
 */
import type {HivemindError} from '@hivemind/contracts';
import {storeErrors} from './errors.ts';
import type {ChangeEvent, Revision, WatchBatch, WatchOptions} from './store.ts';

/** Whole transactions, the newest being `n`. Events are decoded when first looked at, as often nobody does. */
export interface LogBatch {
  readonly n: number;
  readonly events: () => readonly ChangeEvent[];
}

/** A part of the log, in order, beginning right after the revision asked for. */
export interface LogPage {
  readonly revision: Revision;
  readonly floor: number;
  readonly batches: readonly LogBatch[];
  /** False when there may be more to read at once. */
  readonly complete: boolean;
}

/** Batches a watcher may be behind before it is sent back to the log. */
const QUEUE_LIMIT = 256;

interface Watcher {
  queue: LogBatch[];
  lagging: boolean;
  failure: HivemindError | undefined;
  wake: () => void;
}

export class WatchHub {
  readonly #readLog: (after: number) => LogPage | Promise<LogPage>;
  readonly #watchers = new Set<Watcher>();
  #closed = false;

  constructor(readLog: (after: number) => LogPage | Promise<LogPage>) {
    this.#readLog = readLog;
  }

  /** Hand on what was just committed; batches come in order. */
  publish(batch: LogBatch): void {
    for (const watcher of this.#watchers) {
      if (watcher.lagging) continue;
      if (watcher.queue.length < QUEUE_LIMIT) watcher.queue.push(batch);
      else {
        watcher.lagging = true;
        watcher.queue = [];
      }
      watcher.wake();
    }
  }

  /** Something may have been committed that was not published: everybody looks at the log. */
  resync(): void {
    for (const watcher of this.#watchers) {
      watcher.lagging = true;
      watcher.queue = [];
      watcher.wake();
    }
  }

  /** End every watch that runs now (new epoch, lost connection). */
  fail(error: HivemindError): void {
    for (const watcher of this.#watchers) {
      watcher.failure ??= error;
      watcher.wake();
    }
  }

  close(): void {
    this.#closed = true;
    this.fail(storeErrors.closed('The store was closed.'));
  }

  async *watch({from, collections, signal}: WatchOptions): AsyncGenerator<WatchBatch, void, undefined> {
    if (this.#closed) throw storeErrors.closed('The store was closed.');
    const wanted = collections && new Set(collections);
    const watcher: Watcher = {queue: [], lagging: true, failure: undefined, wake: () => undefined};
    const onAbort = (): void => watcher.wake();
    signal.addEventListener('abort', onAbort);
    this.#watchers.add(watcher);
    try {
      let cursor = from.n;
      let first = true;
      while (!signal.aborted) {
        if (watcher.failure) throw watcher.failure;
        const batches = watcher.lagging ? await this.#catchUp(watcher, from.epoch, cursor) : watcher.queue.splice(0);
        if (first) {
          first = false;
          yield {revision: from, events: []};
        }
        for (const batch of batches) {
          if (signal.aborted) return;
          if (batch.n <= cursor) continue;
          const events = batch.events().filter((event) => isNewer(event, cursor) && (!wanted || wanted.has(collectionOf(event))));
          cursor = batch.n;
          if (events.length > 0) yield {revision: {epoch: from.epoch, n: cursor}, events};
        }
        // Synchronous with the check, so no wake-up is missed.
        if (!watcher.lagging && watcher.queue.length === 0 && !watcher.failure && !signal.aborted) {
          await new Promise<void>((resolve) => (watcher.wake = resolve));
        }
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #catchUp(watcher: Watcher, epoch: string, cursor: number): Promise<readonly LogBatch[]> {
    watcher.lagging = false;
    watcher.queue = [];
    const page = await this.#readLog(cursor);
    if (watcher.failure) throw watcher.failure;
    if (page.revision.epoch !== epoch) throw storeErrors.compacted(`The store is in epoch ${page.revision.epoch}, the watch in ${epoch}. List again.`);
    if (cursor < page.floor) throw storeErrors.compacted(`Revision ${cursor} is below the compaction floor ${page.floor}. List again.`);
    if (cursor > page.revision.n) throw storeErrors.compacted(`Revision ${cursor} is newer than the store's ${page.revision.n}. List again.`);
    if (!page.complete) watcher.lagging = true;
    return page.batches;
  }
}

const isNewer = (event: ChangeEvent, n: number): boolean => (event.type === 'put' ? event.record.version : event.version) > n;
const collectionOf = (event: ChangeEvent): string => (event.type === 'put' ? event.record.collection : event.collection);
