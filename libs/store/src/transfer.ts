/**
 * Moves a cluster between stores, as lines of JSON.
 *
 *   {"format":"hivemind-store","version":1,"revision":{…}}       first
 *   {"collection":"apps","key":"default/web","value":"…"}        a record
 *   {"collection":"apps","key":"default/old","deleted":true}     a record above that is gone after all
 *   {"end":true,"lines":N,"revision":{…}}                        last; its absence shows a cut-off file
 *
 * The pages of a list are not of one moment. So the export goes on with the changes that came while it was listing, and
 * what is imported is the store exactly as it was at the last line's revision. Records that live with a lease are left
 * out: their holders do not move along.
 */
import * as z from 'zod';
import {storeErrors} from './errors.ts';
import type {ChangeEvent, Revision, Store, StoredRecord, Write} from './store.ts';

const FORMAT = 'hivemind-store';
const VERSION = 1;
/** One transaction of an import. */
const BATCH_WRITES = 500;
const BATCH_CHARACTERS = 1024 * 1024;

const RevisionLine = z.object({epoch: z.string(), n: z.number()});
const Header = z.object({format: z.literal(FORMAT), version: z.literal(VERSION), revision: RevisionLine});
const Line = z.union([
  z.object({collection: z.string(), key: z.string(), value: z.string()}),
  z.object({collection: z.string(), key: z.string(), deleted: z.literal(true)}),
  z.object({end: z.literal(true), lines: z.number(), revision: RevisionLine}),
]);

/** Lines, each with its newline. Rejects with `compacted` when the log was trimmed meanwhile (try again), or `unavailable`. */
export async function* exportStore(store: Store): AsyncGenerator<string, void, undefined> {
  const from = await store.revision();
  yield line({format: FORMAT, version: VERSION, revision: from});
  let lines = 0;
  for (const collection of await store.collections()) {
    for await (const {key, value, lease} of recordsOf(store, collection)) {
      if (lease !== undefined) continue;
      lines += 1;
      yield line({collection, key, value});
    }
  }
  const until = await store.revision();
  for await (const event of changesBetween(store, from, until)) {
    lines += 1;
    yield line(toLine(event));
  }
  yield line({end: true, lines, revision: until});
}

export interface ImportOptions {
  /** Remove what the store holds first. */
  readonly replace?: boolean;
}

/**
 * Read an export into a store, then begin a new epoch: agents stop nothing until the cluster is adopted (law 12).
 * Rejects with `store-not-empty`, or with `invalid-export` naming the line; what came before that line is in the store.
 */
export async function importStore(store: Store, source: AsyncIterable<string | Uint8Array>, options: ImportOptions = {}): Promise<Revision> {
  const batch = new Batch(store);
  await makeRoom(store, batch, options.replace ?? false);
  let number = 0;
  let ended = false;
  for await (const text of splitLines(source)) {
    number += 1;
    if (number === 1) {
      parseLine(Header, text, number);
      continue;
    }
    const parsed = parseLine(Line, text, number);
    if (ended) throw storeErrors['invalid-export'](`Line ${number} comes after the end.`);
    if ('end' in parsed) {
      if (parsed.lines !== number - 2) throw storeErrors['invalid-export'](`The export says ${parsed.lines} records, ${number - 2} were found.`);
      ended = true;
    } else if ('value' in parsed) {
      await batch.add({op: 'put', ...parsed});
    } else {
      await batch.add({op: 'delete', collection: parsed.collection, key: parsed.key});
    }
  }
  if (!ended) throw storeErrors['invalid-export'](`The export ends at line ${number} without its last line: it was cut off.`);
  await batch.flush();
  return store.renewEpoch();
}

/** Writes in few transactions; of several writes to a record in one, the last counts. */
class Batch {
  readonly #store: Store;
  readonly #writes = new Map<string, Write>();
  #characters = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async add(write: Write): Promise<void> {
    this.#writes.set(`${write.collection}\0${write.key}`, write);
    this.#characters += write.op === 'put' ? write.value.length : 0;
    if (this.#writes.size >= BATCH_WRITES || this.#characters >= BATCH_CHARACTERS) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#writes.size > 0) await this.#store.transact({writes: [...this.#writes.values()]});
    this.#writes.clear();
    this.#characters = 0;
  }
}

async function makeRoom(store: Store, batch: Batch, replace: boolean): Promise<void> {
  for (const collection of await store.collections()) {
    for await (const {key, lease} of recordsOf(store, collection)) {
      // A running control plane holds its elections; they pass with it.
      if (lease !== undefined) continue;
      if (!replace) throw storeErrors['store-not-empty'](`The store holds records (${collection} "${key}" for one). Import into an empty one, or ask to replace what is there.`);
      await batch.add({op: 'delete', collection, key});
    }
  }
  await batch.flush();
}

async function* recordsOf(store: Store, collection: string): AsyncGenerator<StoredRecord, void, undefined> {
  for (let after: string | undefined; ; ) {
    const {records, next} = await store.list(collection, after === undefined ? {} : {after});
    yield* records;
    if (next === undefined) return;
    after = next;
  }
}

async function* changesBetween(store: Store, from: Revision, until: Revision): AsyncGenerator<ChangeEvent, void, undefined> {
  if (until.epoch === from.epoch && until.n === from.n) return;
  const stop = new AbortController();
  try {
    for await (const {events, revision} of store.watch({from, signal: stop.signal})) {
      for (const event of events) if (versionOf(event) <= until.n) yield event;
      if (revision.n >= until.n) return;
    }
  } finally {
    stop.abort();
  }
}

function toLine(event: ChangeEvent): object {
  if (event.type === 'delete') return {collection: event.collection, key: event.key, deleted: true};
  const {collection, key, value, lease} = event.record;
  return lease === undefined ? {collection, key, value} : {collection, key, deleted: true};
}

const versionOf = (event: ChangeEvent): number => (event.type === 'put' ? event.record.version : event.version);

const line = (value: object): string => `${JSON.stringify(value)}\n`;

function parseLine<T>(schema: z.ZodType<T>, text: string, number: number): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw storeErrors['invalid-export'](`Line ${number} cannot be read: ${reason}`, {cause: error});
  }
}

async function* splitLines(source: AsyncIterable<string | Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of source) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, {stream: true});
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((text) => text !== '');
  }
  if (rest !== '') yield rest;
}
