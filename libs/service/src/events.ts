/**
 * Events: what happened, for people. Appended in batches off the path of the work that they tell of; best effort, so
 * that a full disk or a lost store never fails the work itself.
 */
import {collections, resourceKey, type EventRecord} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import type {ManagerContext} from './manager.ts';

export type NewEvent = Omit<EventRecord, 'time'> & Partial<Pick<EventRecord, 'time'>>;
const events = collection(collections.events);
type RecorderContext = Pick<ManagerContext, 'store' | 'logger' | 'now' | 'uid'>;

/** ms an event waits for others to share its write. */
const BATCH_MS = 50;
/** Past this many waiting events the newest are dropped, and counted in the log. */
const MAX_WAITING = 2000;
const MAX_BATCH = 500;
const MAX_MESSAGE = 4096;

/** One queue a store, so that all managers of a process share writes. */
const queues = new WeakMap<Store, EventQueue>();

/** Records an event; never throws and never waits. */
export function recordEvent(context: RecorderContext, event: NewEvent): void {
  let queue = queues.get(context.store);
  if (!queue) queues.set(context.store, (queue = new EventQueue(context)));
  queue.add({...event, time: event.time ?? new Date(context.now()).toISOString()});
}

/** Resolves when every event recorded so far is written or given up. */
export async function flushEvents(store: Store): Promise<void> {
  await queues.get(store)?.flush();
}

class EventQueue {
  readonly #context: RecorderContext;
  #waiting: EventRecord[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(context: RecorderContext) {
    this.#context = context;
  }

  add(event: EventRecord): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push({...event, message: event.message.slice(0, MAX_MESSAGE)});
    this.#timer ??= setTimeout(() => void this.flush(), BATCH_MS);
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#drain());
    return this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#write(this.#waiting.splice(0, MAX_BATCH));
    if (this.#dropped > 0) this.#context.logger.warn({dropped: this.#dropped}, 'events were dropped: the store is too slow');
    this.#dropped = 0;
  }

  async #write(batch: readonly EventRecord[]): Promise<void> {
    const {store, logger, uid} = this.#context;
    try {
      await store.transact({writes: batch.map((event) => events.putting(resourceKey(event.namespace, `${event.time}-${uid().replaceAll('-', '').slice(-8)}`), event))});
    } catch (err) {
      logger.warn({err, events: batch.length}, 'events could not be recorded');
    }
  }
}
