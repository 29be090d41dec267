/** Reads of the SQLite driver: a read-only connection on the caller's thread, whose reads never wait for the writer. */
import type {DatabaseSync, SQLOutputValue, StatementSync} from 'node:sqlite';
import {MAX_PAGE} from '../limits.ts';
import type {ListOptions, Page, StoredRecord} from '../store.ts';
import type {LogPage} from '../watch-hub.ts';
import {decodeLog} from '../log-codec.ts';
import type {State} from './schema.ts';

/** Groups of the log decoded at a time: bounds what a watcher that is far behind holds. */
const LOG_PAGE = 16;
/** Sorts after every key that begins with what it is appended to (keys cannot hold it, see limits.ts). */
const LAST_CHARACTER = '\u{10ffff}';

type Row = Record<string, SQLOutputValue>;

export class Reader {
  readonly #db: DatabaseSync;
  readonly #sql: Readonly<Record<'get' | 'list' | 'log' | 'nextCollection' | 'state' | 'leases' | 'leasesOf', StatementSync>>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    const columns = 'collection, key, value, created, version, lease';
    this.#sql = {
      get: db.prepare(`SELECT ${columns} FROM records WHERE collection = ? AND key = ?`),
      list: db.prepare(`SELECT ${columns} FROM records WHERE collection = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`),
      log: db.prepare('SELECT last, entries FROM log WHERE last > ? ORDER BY last LIMIT ?'),
      nextCollection: db.prepare('SELECT min(collection) AS name FROM records WHERE collection > ?'),
      state: db.prepare('SELECT epoch, n, floor FROM state'),
      leases: db.prepare('SELECT id, ttl FROM leases'),
      leasesOf: db.prepare('SELECT DISTINCT lease FROM records WHERE collection = ? AND lease IS NOT NULL'),
    };
  }

  /** Several reads of one moment. */
  snapshot<T>(read: () => T): T {
    this.#db.exec('BEGIN');
    try {
      return read();
    } finally {
      this.#db.exec('COMMIT');
    }
  }

  get(collection: string, key: string): StoredRecord | undefined {
    const row = this.#sql.get.get(collection, key);
    return row && toRecord(row);
  }

  list(collection: string, {prefix = '', after = '', limit = MAX_PAGE}: ListOptions): Page {
    const {epoch, n} = this.state();
    const most = Math.max(1, Math.min(limit, MAX_PAGE));
    const records = this.#sql.list.all(collection, after, prefix, prefix + LAST_CHARACTER, most).map(toRecord);
    const next = records.length === most ? records.at(-1)?.key : undefined;
    return {records, revision: {epoch, n}, ...(next === undefined ? {} : {next})};
  }

  collections(): string[] {
    const names: string[] = [];
    for (let name: SQLOutputValue | undefined = ''; ; ) {
      name = this.#sql.nextCollection.get(name)?.name;
      if (typeof name !== 'string') return names;
      names.push(name);
    }
  }

  state(): State {
    const row = this.#sql.state.get();
    return {epoch: String(row?.epoch), n: Number(row?.n), floor: Number(row?.floor)};
  }

  leases(): {id: string; ttlMs: number}[] {
    return this.#sql.leases.all().map((row) => ({id: String(row.id), ttlMs: Number(row.ttl)}));
  }

  /** Leases that hold a record of `collection`. */
  leasesOf(collection: string): string[] {
    return this.#sql.leasesOf.all(collection).map((row) => String(row.lease));
  }

  readLog(after: number): LogPage {
    const {epoch, n, floor} = this.state();
    const rows = this.#sql.log.all(after, LOG_PAGE);
    return {
      revision: {epoch, n},
      floor,
      complete: rows.length < LOG_PAGE,
      batches: rows.map((row) => ({n: Number(row.last), events: () => decodeLog(String(row.entries))})),
    };
  }
}

function toRecord(row: Row): StoredRecord {
  const {collection, key, value, created, version, lease} = row;
  return {
    collection: String(collection),
    key: String(key),
    value: String(value),
    created: Number(created),
    version: Number(version),
    ...(typeof lease === 'string' ? {lease} : {}),
  };
}
