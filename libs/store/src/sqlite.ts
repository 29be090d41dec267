/**
 * The SQLite driver: one process, one file, no server.
 *
 * Writes go in groups to a worker thread; reads use a connection of their own on this thread, so they see every
 * acknowledged write and go on when the disk is full. Watchers are fed from what the writer says it committed.
 */
import {closeSync, mkdirSync, openSync} from 'node:fs';
import {randomUUID} from 'node:crypto';
import {dirname} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {Worker} from 'node:worker_threads';
import {isError, type HivemindError} from '@hivemind/contracts';
import {systemClock, type Clock} from './clock.ts';
import {storeErrors} from './errors.ts';
import {GroupWriter} from './group-writer.ts';
import {LeaseDeadlines} from './leases.ts';
import {leaseExpired, toLeadership} from './elections.ts';
import {checkName, checkTransaction, checkTtl} from './limits.ts';
import {ELECTIONS} from './reserved.ts';
import {lockStore} from './sqlite/lock.ts';
import {decodeLog} from './log-codec.ts';
import {Reader} from './sqlite/reader.ts';
import {prepareDatabase} from './sqlite/schema.ts';
import {WriteEngine} from './sqlite/write-engine.ts';
import {WorkerBackend} from './sqlite/worker-backend.ts';
import type {GroupResult, WriteRequest, WriteResult} from './sqlite/writer-protocol.ts';
import type {ChangeEvent, Lease, Leadership, ListOptions, Page, Revision, Store, StoreStatus, StoredRecord, Transaction, TransactionResult, WatchBatch, WatchOptions} from './store.ts';
import {WatchHub} from './watch-hub.ts';

export interface SqliteStoreOptions {
  /** The database file; its folder is made. `:memory:` keeps nothing and needs no worker: for tests. */
  readonly path: string;
  /** Change-log entries to keep, in transactions; default 100,000. */
  readonly retainLog?: number;
  /** The clock of leases; default: this process's monotonic one. */
  readonly clock?: Clock;
}

const DEFAULT_RETAIN = 100_000;
/** ms until the removal of lapsed leases is tried again when the disk refused it. */
const LAPSE_RETRY_MS = 1000;

/** Rejects with `store-locked` (another process has it) or `unavailable` (disk, or a format that is not known). */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const {path, retainLog = DEFAULT_RETAIN, clock = systemClock} = options;
  if (path === ':memory:') {
    const db = new DatabaseSync(path);
    prepareDatabase(db, randomUUID());
    const engine = new WriteEngine(db, {retainLog});
    const backend = {send: async (group: readonly WriteRequest[]) => engine.apply(group), close: async () => undefined};
    return new SqliteStore(backend, db, clock, () => undefined);
  }
  let unlock = (): void => undefined;
  try {
    mkdirSync(dirname(path), {recursive: true, mode: 0o700});
    unlock = lockStore(path);
    // SQLite gives its side files the mode of the database.
    closeSync(openSync(path, 'a', 0o600));
    const db = new DatabaseSync(path);
    prepareDatabase(db, randomUUID());
    db.exec('PRAGMA query_only = 1');
    const startWriter = (): Worker =>
      new Worker(new URL('./sqlite/writer.worker.ts', import.meta.url), {
        workerData: {path, retainLog},
        resourceLimits: {maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256},
      });
    return new SqliteStore(new WorkerBackend(startWriter), db, clock, unlock);
  } catch (error) {
    unlock();
    throw isError(error) ? error : storeErrors.unavailable(`${path} cannot be opened: ${String(error)}`, {cause: error});
  }
}

/** Where groups are applied, in order: the worker, or this thread for a store in memory. */
interface Writer {
  send(group: readonly WriteRequest[]): Promise<GroupResult>;
  close(): Promise<void>;
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #reader: Reader;
  readonly #backend: Writer;
  readonly #writer: GroupWriter<WriteRequest, WriteResult>;
  readonly #hub: WatchHub;
  readonly #leases: LeaseDeadlines;
  readonly #clock: Clock;
  readonly #unlock: () => void;
  #epoch: string;
  #closed: Promise<void> | undefined;

  constructor(backend: Writer, db: DatabaseSync, clock: Clock, unlock: () => void) {
    this.#backend = backend;
    this.#db = db;
    this.#reader = new Reader(db);
    this.#epoch = this.#reader.state().epoch;
    this.#clock = clock;
    this.#unlock = unlock;
    this.#hub = new WatchHub((after) => this.#read((reader) => reader.readLog(after)));
    this.#writer = new GroupWriter((group) => this.#apply(group));
    this.#leases = new LeaseDeadlines(clock, (ids) => void this.#endLapsed(ids));
    // One process has the file at a time: whoever led when it was opened last is gone, and need not be waited for.
    const orphaned = new Set(this.#reader.leasesOf(ELECTIONS));
    for (const {id, ttlMs} of this.#reader.leases()) if (!orphaned.has(id)) this.#leases.start(id, ttlMs);
    if (orphaned.size > 0) void this.#endLapsed([...orphaned]);
  }

  async get(collection: string, key: string): Promise<StoredRecord | undefined> {
    checkName(collection, key);
    return this.#read((reader) => reader.get(collection, key));
  }

  async getMany(keys: readonly {readonly collection: string; readonly key: string}[]): Promise<readonly (StoredRecord | undefined)[]> {
    for (const {collection, key} of keys) checkName(collection, key);
    return this.#read((reader) => keys.map(({collection, key}) => reader.get(collection, key)));
  }

  async list(collection: string, options: ListOptions = {}): Promise<Page> {
    return this.#read((reader) => reader.list(collection, options));
  }

  async collections(): Promise<readonly string[]> {
    return this.#read((reader) => reader.collections());
  }

  async revision(): Promise<Revision> {
    const {epoch, n} = this.#read((reader) => reader.state());
    return {epoch, n};
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const bytes = checkTransaction(transaction);
    const result = await this.#writer.submit({op: 'transact', transaction}, bytes);
    if (typeof result === 'number') return {ok: true, revision: this.#at(result)};
    if ('conflicts' in result) return {ok: false, reason: 'conflict', revision: this.#at(result.n), conflicts: result.conflicts};
    if ('fenced' in result) return {ok: false, reason: 'fenced', revision: this.#at(result.n)};
    throw refused(result);
  }

  watch(options: WatchOptions): AsyncIterable<WatchBatch> {
    return this.#hub.watch(options);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    const id = randomUUID();
    await this.#writer.submit({op: 'grant-lease', id, ttlMs});
    this.#leases.start(id, ttlMs);
    return {id, ttlMs};
  }

  async keepAlive(leaseId: string): Promise<void> {
    this.#assertOpen();
    if (!this.#leases.renew(leaseId)) throw leaseExpired(leaseId);
  }

  async revokeLease(leaseId: string): Promise<void> {
    await this.#writer.submit({op: 'end-leases', ids: [leaseId]});
    this.#leases.end(leaseId);
  }

  async campaign(election: string, holder: string, leaseId: string): Promise<Leadership> {
    checkName(ELECTIONS, election);
    const result = await this.#writer.submit({op: 'campaign', election, holder, leaseId});
    if (typeof result === 'object' && 'election' in result) return toLeadership({key: election, ...result.election});
    throw refused(result);
  }

  async leader(election: string): Promise<Leadership | undefined> {
    const record = await this.get(ELECTIONS, election);
    return record && toLeadership(record);
  }

  async compact(n: number): Promise<void> {
    await this.#writer.submit({op: 'compact', n});
  }

  async renewEpoch(): Promise<Revision> {
    const result = await this.#writer.submit({op: 'renew-epoch', epoch: randomUUID()});
    if (typeof result !== 'number') throw refused(result);
    return this.#at(result);
  }

  async status(): Promise<StoreStatus> {
    const {epoch, n, floor} = this.#read((reader) => reader.state());
    return {driver: 'sqlite', revision: {epoch, n}, compactedTo: floor, warnings: []};
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#leases.stop();
    this.#hub.close();
    await this.#writer.close();
    await this.#backend.close();
    this.#db.close();
    this.#unlock();
  }

  /** Watchers hear of a group before its writers do. */
  async #apply(group: readonly WriteRequest[]): Promise<GroupResult> {
    const result = await this.#backend.send(group);
    if (!result.ok) {
      // Should the writer have died just after the commit, the log knows.
      this.#hub.resync();
      return {ok: false, detail: `Nothing was written: ${result.detail}. Reads go on; try again when the disk has room.`};
    }
    const {log, state} = result;
    if (log !== undefined) {
      let events: readonly ChangeEvent[] | undefined;
      this.#hub.publish({n: state.n, events: () => (events ??= decodeLog(log))});
    }
    if (state.epoch !== this.#epoch) {
      this.#epoch = state.epoch;
      this.#hub.fail(storeErrors.compacted(`The store began epoch ${state.epoch}. List again.`));
    }
    return result;
  }

  async #endLapsed(ids: readonly string[]): Promise<void> {
    try {
      await this.#writer.submit({op: 'end-leases', ids});
    } catch {
      if (!this.#closed) this.#clock.after(LAPSE_RETRY_MS, () => void this.#endLapsed(ids));
    }
  }

  #read<T>(read: (reader: Reader) => T): T {
    this.#assertOpen();
    try {
      return this.#reader.snapshot(() => read(this.#reader));
    } catch (error) {
      throw storeErrors.unavailable(`The database cannot be read: ${String(error)}`, {cause: error});
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw storeErrors.closed('The store was closed.');
  }

  #at(n: number): Revision {
    return {epoch: this.#epoch, n};
  }
}

function refused(result: WriteResult): HivemindError {
  if (typeof result === 'object' && 'leaseExpired' in result) return leaseExpired(result.leaseExpired);
  return storeErrors.unavailable('The writer gave an answer that does not belong to the request.');
}
