/**
 * Applies groups of write requests to SQLite: one SQLite transaction and one sync a group.
 *
 * Requests are checked before they write (compare, fence, lease), in order, each seeing what those before it wrote. So a
 * refused request has nothing to undo, and only the disk can fail a group: then all of it is rolled back and refused.
 */
import type {DatabaseSync, StatementSync} from 'node:sqlite';
import {encodeDelete, encodePut, joinLog} from '../log-codec.ts';
import {ELECTIONS, electionValue} from '../reserved.ts';
import type {Compare, Transaction} from '../store.ts';
import {readState, type State} from './schema.ts';
import type {GroupResult, WriteRequest, WriteResult, WriterOptions} from './writer-protocol.ts';

interface Head {
  readonly created: number;
  readonly version: number;
}

/** Old log entries are removed once this share more than asked has gathered: many at a time. */
const TRIM_SLACK = 0.1;

export class WriteEngine {
  readonly #db: DatabaseSync;
  readonly #retainLog: number;
  readonly #sql: Readonly<Record<'head' | 'insert' | 'update' | 'delete' | 'value' | 'log' | 'state' | 'hasLease' | 'addLease' | 'dropLease' | 'leased' | 'trim', StatementSync>>;
  #state: State;
  /** Changes of this group, encoded. */
  #changes: string[] = [];

  constructor(db: DatabaseSync, options: WriterOptions) {
    this.#db = db;
    this.#retainLog = options.retainLog;
    this.#state = readState(db);
    this.#sql = {
      head: db.prepare('SELECT created, version FROM records WHERE collection = ? AND key = ?'),
      insert: db.prepare('INSERT INTO records (collection, key, value, created, version, lease) VALUES (?, ?, ?, ?, ?, ?)'),
      update: db.prepare('UPDATE records SET value = ?, version = ?, lease = ? WHERE collection = ? AND key = ?'),
      delete: db.prepare('DELETE FROM records WHERE collection = ? AND key = ?'),
      value: db.prepare('SELECT value FROM records WHERE collection = ? AND key = ?'),
      log: db.prepare('INSERT INTO log (last, entries) VALUES (?, ?)'),
      state: db.prepare('UPDATE state SET epoch = ?, n = ?, floor = ?'),
      hasLease: db.prepare('SELECT 1 AS one FROM leases WHERE id = ?'),
      addLease: db.prepare('INSERT INTO leases (id, ttl) VALUES (?, ?)'),
      dropLease: db.prepare('DELETE FROM leases WHERE id = ?'),
      leased: db.prepare('SELECT collection, key FROM records WHERE lease = ?'),
      trim: db.prepare('DELETE FROM log WHERE last <= ?'),
    };
  }

  /** Never throws: what the disk refuses is an answer. */
  apply(requests: readonly WriteRequest[]): GroupResult {
    const before = {...this.#state};
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const results = requests.map((request) => this.#applyOne(request));
      const log = this.#changes.length > 0 ? joinLog(this.#changes) : undefined;
      if (log !== undefined) this.#sql.log.run(this.#state.n, log);
      if (this.#state.n - this.#state.floor > this.#retainLog * (1 + TRIM_SLACK)) this.#raiseFloor(this.#state.n - this.#retainLog);
      if (!sameState(before, this.#state)) this.#sql.state.run(this.#state.epoch, this.#state.n, this.#state.floor);
      this.#db.exec('COMMIT');
      return {ok: true, results, log, state: {...this.#state}};
    } catch (error) {
      this.#state = before;
      // After some failures (disk full) SQLite has rolled back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      return {ok: false, detail: error instanceof Error ? error.message : String(error)};
    } finally {
      this.#changes = [];
    }
  }

  #applyOne(request: WriteRequest): WriteResult {
    switch (request.op) {
      case 'transact':
        return this.#transact(request.transaction);
      case 'grant-lease':
        this.#sql.addLease.run(request.id, request.ttlMs);
        return this.#state.n;
      case 'end-leases':
        return this.#endLeases(request.ids);
      case 'campaign':
        return this.#campaign(request.election, request.holder, request.leaseId);
      case 'compact':
        this.#raiseFloor(Math.min(request.n, this.#state.n));
        return this.#state.n;
      case 'renew-epoch':
        this.#state.epoch = request.epoch;
        this.#raiseFloor(this.#state.n);
        return this.#state.n;
    }
  }

  #transact({compare = [], writes, fence}: Transaction): WriteResult {
    if (fence && this.#head(ELECTIONS, fence.election)?.created !== fence.revision) return {fenced: true, n: this.#state.n};
    const heads = new Map<string, Head | undefined>();
    const conflicts: Compare[] = [];
    for (const {collection, key, version} of compare) {
      const head = this.#head(collection, key);
      heads.set(`${collection}\0${key}`, head);
      const found = head?.version ?? 0;
      if (found !== version) conflicts.push({collection, key, version: found});
    }
    if (conflicts.length > 0) return {conflicts, n: this.#state.n};
    for (const write of writes) {
      if (write.op === 'put' && write.lease !== undefined && !this.#sql.hasLease.get(write.lease)) return {leaseExpired: write.lease};
    }
    const n = this.#state.n + 1;
    for (const write of writes) {
      const {collection, key} = write;
      const id = `${collection}\0${key}`;
      const head = heads.has(id) ? heads.get(id) : this.#head(collection, key);
      if (write.op === 'put') this.#put(n, collection, key, write.value, write.lease, head);
      else if (head) this.#delete(n, collection, key);
    }
    return this.#state.n;
  }

  #campaign(election: string, holder: string, leaseId: string): WriteResult {
    const head = this.#head(ELECTIONS, election);
    if (head) return {election: {value: String(this.#sql.value.get(ELECTIONS, election)?.value), created: head.created}};
    if (!this.#sql.hasLease.get(leaseId)) return {leaseExpired: leaseId};
    const value = electionValue(holder);
    this.#put(this.#state.n + 1, ELECTIONS, election, value, leaseId, undefined);
    return {election: {value, created: this.#state.n}};
  }

  #endLeases(ids: readonly string[]): WriteResult {
    const n = this.#state.n + 1;
    for (const id of ids) {
      this.#sql.dropLease.run(id);
      for (const row of this.#sql.leased.all(id)) this.#delete(n, String(row.collection), String(row.key));
    }
    return this.#state.n;
  }

  #head(collection: string, key: string): Head | undefined {
    const row = this.#sql.head.get(collection, key);
    return row && {created: Number(row.created), version: Number(row.version)};
  }

  #put(n: number, collection: string, key: string, value: string, lease: string | undefined, head: Head | undefined): void {
    this.#state.n = n;
    const created = head?.created ?? n;
    if (head) this.#sql.update.run(value, n, lease ?? null, collection, key);
    else this.#sql.insert.run(collection, key, value, n, n, lease ?? null);
    this.#changes.push(encodePut(n, collection, key, value, created, lease));
  }

  #delete(n: number, collection: string, key: string): void {
    this.#state.n = n;
    this.#sql.delete.run(collection, key);
    this.#changes.push(encodeDelete(n, collection, key));
  }

  #raiseFloor(n: number): void {
    if (n <= this.#state.floor) return;
    this.#state.floor = n;
    this.#sql.trim.run(n);
  }
}

const sameState = (a: State, b: State): boolean => a.n === b.n && a.floor === b.floor && a.epoch === b.epoch;
