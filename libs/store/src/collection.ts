/**
 * Typed collections over the store's opaque text.
 *
 * A record is stored as `{"v": <schema version>, ...document}`. Reading migrates older versions and validates; writing
 * validates and keeps the fields this release does not know. A definition (`collection(...)`) is pure, and makes the
 * comparisons and writes of transactions over several collections; `.in(store)` binds it for the everyday operations.
 */
import {isError, type HivemindError} from '@hivemind/contracts';
import * as z from 'zod';
import {storeErrors} from './errors.ts';
import type {Compare, Fence, ListOptions, Revision, Store, StoredRecord, Transaction, Write} from './store.ts';
import {parseIgnoringUnknown, preserveUnknown} from './unknown-fields.ts';

export interface CollectionOptions<T extends object> {
  /** The collection's name in the store. */
  readonly name: string;
  /** Its output must be plain JSON without a field `v`. Unknown fields are ignored and kept even where it is strict. */
  readonly schema: z.ZodType<T>;
  /** Version of the schema, from 1. Raise it when older records need `migrate`. */
  readonly version: number;
  /** Brings the document of an older schema version to this one. */
  readonly migrate?: (document: Readonly<Record<string, unknown>>, from: number) => unknown;
}

/** A record as read. */
export interface Stored<T> {
  readonly key: string;
  readonly value: T;
  /** For comparisons: the `n` that last touched it. */
  readonly version: number;
  /** The `n` that created it. */
  readonly created: number;
  readonly lease?: string;
  /** The text it was read from: carries the unknown fields into the next write. */
  readonly raw: string;
}

/** What a whole list found. */
export interface Listing<T> {
  readonly items: readonly Stored<T>[];
  /** Read before the first page: a watch from here misses nothing. */
  readonly revision: Revision;
  /** Records that could not be read, each with an `unreadable-record`; the others are in `items`. */
  readonly unreadable: readonly {readonly key: string; readonly error: HivemindError}[];
}

export interface WriteOptions {
  /** The record lives and dies with this lease. */
  readonly lease?: string;
  /** Proof of leadership (law 7). */
  readonly fence?: Fence;
}

export interface PutOptions<T> extends WriteOptions {
  /**
   * What the record must be now: 0 for not there yet, a version, or the record that was read (saves a read).
   * Absent: whatever it is.
   */
  readonly expect?: number | Stored<T>;
  /** Other records that have to be as they were found. */
  readonly compare?: readonly Compare[];
}

export interface CollectionDefinition<T extends object> {
  readonly name: string;
  /** Throws `unreadable-record`, naming collection and key. */
  decode(record: StoredRecord): Stored<T>;
  /** The text to store: `value` validated, with the unknown fields of `previous`. Throws `invalid-input`. */
  encode(value: T, previous?: Pick<Stored<T>, 'raw'>): string;
  /** A comparison for a transaction: the record must be as read; with a key, it must not exist. */
  unchanged(record: Stored<T>): Compare;
  absent(key: string): Compare;
  /** A write for a transaction; `previous` gives its unknown fields. */
  putting(key: string, value: T, options?: {readonly previous?: Stored<T>; readonly lease?: string}): Write;
  deleting(key: string): Write;
  in(store: Store): Collection<T>;
}

/** A definition bound to a store. */
export interface Collection<T extends object> {
  readonly definition: CollectionDefinition<T>;
  /** Rejects with `unreadable-record` too. */
  get(key: string): Promise<Stored<T> | undefined>;
  /** Every page. */
  list(options?: Pick<ListOptions, 'prefix'>): Promise<Listing<T>>;
  /** Answers the record as written. Rejects with `already-exists` (expected none), `version-mismatch`, `fenced`. */
  put(key: string, value: T, options?: PutOptions<T>): Promise<Stored<T>>;
  /**
   * Read, change, write; again when it was changed meanwhile. `change` must be pure. Answering undefined, or the very
   * value it was given, writes nothing. A record keeps its lease. Rejects with `version-mismatch` after 16 lost races.
   */
  update(key: string, change: (value: T | undefined) => T | undefined, options?: WriteOptions): Promise<Stored<T> | undefined>;
  /** Whether it was there. Rejects with `version-mismatch` when `expect` is not its version, `fenced`. */
  delete(key: string, options?: {readonly expect?: number; readonly fence?: Fence}): Promise<boolean>;
}

const MAX_RACES = 16;
const Envelope = z.looseObject({v: z.number().int().positive()});

export function collection<T extends object>(options: CollectionOptions<T>): CollectionDefinition<T> {
  const {name} = options;
  const definition: CollectionDefinition<T> = {
    name,
    decode: (record) => {
      const {key, version, created, lease, value: raw} = record;
      return {key, value: decodeOnce(options, key, raw), version, created, raw, ...(lease === undefined ? {} : {lease})};
    },
    encode: (value, previous) => encode(options, value, previous?.raw),
    unchanged: ({key, version}) => ({collection: name, key, version}),
    absent: (key) => ({collection: name, key, version: 0}),
    putting: (key, value, {previous, lease} = {}) => ({op: 'put', collection: name, key, value: encode(options, value, previous?.raw), ...(lease === undefined ? {} : {lease})}),
    deleting: (key) => ({op: 'delete', collection: name, key}),
    in: (store) => bind(store, definition),
  };
  return definition;
}

/**
 * Run a transaction that must succeed. Rejects with `fenced`, `already-exists` (a record that was to be new), or
 * `version-mismatch`, naming the records that were changed meanwhile.
 */
export async function commit(store: Store, transaction: Transaction): Promise<Revision> {
  const result = await store.transact(transaction);
  if (result.ok) return result.revision;
  if (result.reason === 'fenced') throw storeErrors.fenced(`Election "${transaction.fence?.election}" is no longer held at revision ${transaction.fence?.revision}.`);
  const names = result.conflicts.map(({collection: name, key, version}) => `${name} "${key}" ${version === 0 ? 'is gone' : `is at version ${version}`}`).join(', ');
  const expectedNone = transaction.compare?.filter((compare) => compare.version === 0) ?? [];
  const exists = result.conflicts.some(({collection: name, key}) => expectedNone.some((compare) => compare.collection === name && compare.key === key));
  if (exists) throw storeErrors['already-exists'](`It exists already: ${names}.`);
  throw storeErrors['version-mismatch'](`Changed meanwhile: ${names}. Read again.`);
}

function bind<T extends object>(store: Store, definition: CollectionDefinition<T>): Collection<T> {
  const {name} = definition;

  async function get(key: string): Promise<Stored<T> | undefined> {
    const record = await store.get(name, key);
    return record && definition.decode(record);
  }

  /** Writes over exactly `previous`. */
  async function write(key: string, value: T, previous: Stored<T> | undefined, {lease, fence, compare: others = []}: PutOptions<T>): Promise<Stored<T>> {
    const put = definition.putting(key, value, {previous, lease});
    const compare = previous ? definition.unchanged(previous) : definition.absent(key);
    const {n} = await commit(store, {compare: [compare, ...others], writes: [put], ...(fence ? {fence} : {})});
    const raw = put.op === 'put' ? put.value : '';
    return definition.decode({collection: name, key, value: raw, version: n, created: previous?.created ?? n, ...(lease === undefined ? {} : {lease})});
  }

  async function retrying<R>(attempt: () => Promise<R>): Promise<R> {
    for (let races = 1; ; races += 1) {
      try {
        return await attempt();
      } catch (error) {
        const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
        if (!lost || races >= MAX_RACES) throw error;
      }
    }
  }

  return {
    definition,
    get,
    list: (options) => listAll(store, definition, options),
    async put(key, value, {expect, ...options} = {}) {
      if (expect === undefined) return retrying(async () => write(key, value, await get(key), options));
      if (typeof expect === 'object') return write(key, value, expect, options);
      const previous = expect === 0 ? undefined : await get(key);
      if (expect !== 0 && previous?.version !== expect) {
        throw storeErrors['version-mismatch'](`${name} "${key}" ${previous ? `is at version ${previous.version}` : 'is gone'}, not at ${expect}. Read again.`);
      }
      return write(key, value, previous, options);
    },
    update: (key, change, options = {}) =>
      retrying(async () => {
        const previous = await get(key);
        const next = change(previous?.value);
        return next === undefined || next === previous?.value ? previous : write(key, next, previous, {lease: previous?.lease, ...options});
      }),
    async delete(key, {expect, fence} = {}) {
      const attempt = async (): Promise<boolean> => {
        const version = expect ?? (await store.get(name, key))?.version ?? 0;
        if (version === 0) return false;
        await commit(store, {compare: [{collection: name, key, version}], writes: [definition.deleting(key)], ...(fence ? {fence} : {})});
        return true;
      };
      return expect === undefined ? retrying(attempt) : attempt();
    },
  };
}

async function listAll<T extends object>(store: Store, definition: CollectionDefinition<T>, options: Pick<ListOptions, 'prefix'> = {}): Promise<Listing<T>> {
  const items: Stored<T>[] = [];
  const unreadable: {key: string; error: HivemindError}[] = [];
  let page = await store.list(definition.name, options);
  const {revision} = page;
  for (;;) {
    for (const record of page.records) {
      try {
        items.push(definition.decode(record));
      } catch (error) {
        if (!isError(error, 'unreadable-record')) throw error;
        unreadable.push({key: record.key, error});
      }
    }
    if (page.next === undefined) return {items, revision, unreadable};
    page = await store.list(definition.name, {...options, after: page.next});
  }
}

/** `known` is the document at this release's version as stored; `value` what the schema made of it. */
function parseStored<T extends object>({name, schema, version, migrate}: CollectionOptions<T>, key: string, raw: string): {v: number; known: unknown; value: T} {
  try {
    const {v, ...document} = Envelope.parse(JSON.parse(raw));
    const known = v < version && migrate ? migrate(document, v) : document;
    return {v: Math.max(v, version), known, value: parseIgnoringUnknown(schema, known)};
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw storeErrors['unreadable-record'](`${name} "${key}" cannot be read: ${reason}`, {cause: error});
  }
}

/** Records decoded last, by schema and key. Values are never changed in place, so whoever reads a record may share it. */
const decoded = new WeakMap<z.ZodType, Map<string, {readonly raw: string; readonly value: object}>>();
const MAX_DECODED = 4096;

/**
 * The value of a record, parsed once for all of a process: managers beside each other follow the same collections, and
 * validating a record costs more than all else that is done with a change.
 */
function decodeOnce<T extends object>(options: CollectionOptions<T>, key: string, raw: string): T {
  const {schema, migrate} = options;
  if (migrate) return parseStored(options, key, raw).value;
  let known = decoded.get(schema);
  if (!known) decoded.set(schema, (known = new Map()));
  const found = known.get(key);
  // Made by this very schema from this very text.
  if (found?.raw === raw) return found.value as T;
  const {value} = parseStored(options, key, raw);
  if (known.size >= MAX_DECODED) known.clear();
  known.set(key, {raw, value});
  return value;
}

/** The version of a newer release is kept, with its fields: it must not migrate its own record again. */
function encode<T extends object>(options: CollectionOptions<T>, value: T, previous: string | undefined): string {
  const {name, schema, version} = options;
  const checked = schema.safeParse(value);
  if (!checked.success) {
    throw storeErrors['invalid-input'](`A record of ${name} is not valid: ${z.prettifyError(checked.error)}`, {
      errors: checked.error.issues.map(({path, message}) => ({path: path.join('.'), message})),
      cause: checked.error,
    });
  }
  if (previous === undefined) return JSON.stringify({...checked.data, v: version});
  const {v, known, value: parsed} = parseStored(options, '(previous)', previous);
  return JSON.stringify({...Object(preserveUnknown(known, parsed, checked.data)), v});
}
