/** Short ways to write to a store and to collect what a watch brings. */
import type {ChangeEvent, Revision, Store, WatchBatch, Write} from '../store.ts';

/** A put, short. */
export function put(collection: string, key: string, value: string, lease?: string): Write & {op: 'put'} {
  return {op: 'put', collection, key, value, ...(lease === undefined ? {} : {lease})};
}

/** Writes unconditionally; answers the transaction's `n`. */
export async function write(store: Store, ...writes: Write[]): Promise<number> {
  const result = await store.transact({writes});
  if (!result.ok) throw new Error(`A transaction without conditions was refused: ${result.reason}`);
  return result.revision.n;
}

/** Collects a watch. */
export class Watching {
  readonly batches: WatchBatch[] = [];
  readonly #iterator: AsyncIterator<WatchBatch>;

  constructor(watch: AsyncIterable<WatchBatch>) {
    this.#iterator = watch[Symbol.asyncIterator]();
  }

  get revision(): Revision | undefined {
    return this.batches.at(-1)?.revision;
  }

  /** All events so far, once the watch has come to `n`; rejects with what ended it. */
  async until(n: number): Promise<ChangeEvent[]> {
    while ((this.revision?.n ?? -1) < n) {
      const {value, done} = await this.#iterator.next();
      if (done) throw new Error(`The watch ended at ${this.revision?.n}, before ${n}.`);
      this.batches.push(value);
    }
    return this.batches.flatMap(({events}) => events);
  }
}

export const keysOf = (events: readonly ChangeEvent[]): string[] => events.map((event) => (event.type === 'put' ? event.record.key : event.key));
export const versionOf = (event: ChangeEvent): number => (event.type === 'put' ? event.record.version : event.version);
