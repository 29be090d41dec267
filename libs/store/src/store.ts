/**
 * The store port: an etcd-like view that every manager programs against.
 *
 * One sequence of revisions for the cluster, (epoch, n). A transaction compares versions, then writes values and one
 * change-log entry each, in one atomic and durable step. Values are opaque JSON text to the drivers; typed collections
 * (`collection.ts`) parse them with zod.
 *
 * A *version* here is the `n` of the transaction that last touched a record: 0 means "does not exist". All writes of a
 * transaction share one `n`, so after `transact` answers, every record it put has version `result.revision.n`.
 */

/** A point in the cluster's history. `epoch` is renewed on restore, import, or a changed primary (law 12). */
export interface Revision {
  readonly epoch: string;
  readonly n: number;
}

/** One stored record. */
export interface StoredRecord {
  readonly collection: string;
  /** Unique in its collection; by convention `namespace/name` or an id. */
  readonly key: string;
  /** JSON text, exactly as written. */
  readonly value: string;
  /** `n` of the write that created it. */
  readonly created: number;
  /** `n` of the write that last touched it. */
  readonly version: number;
  /** The lease it lives and dies with, if any. */
  readonly lease?: string;
}

/** A condition of a transaction: the record's version must be exactly this (0: must not exist). */
export interface Compare {
  readonly collection: string;
  readonly key: string;
  readonly version: number;
}

/** A write of a transaction. `lease` binds the record's life to a lease: when that ends, the record is removed. */
export type Write =
  | {readonly op: 'put'; readonly collection: string; readonly key: string; readonly value: string; readonly lease?: string}
  | {readonly op: 'delete'; readonly collection: string; readonly key: string};

export interface Transaction {
  /** All must hold, else nothing is written and the answer names those that did not. */
  readonly compare?: readonly Compare[];
  /** A key may stand here once. Deleting what does not exist writes nothing; a transaction that writes nothing takes no `n`. */
  readonly writes: readonly Write[];
  /** The writer's leadership: refused with `fenced` unless that election is still held under this very revision (law 7). */
  readonly fence?: Fence;
}

/** Proof of leadership: the revision at which `election` was won. */
export interface Fence {
  readonly election: string;
  readonly revision: number;
}

export type TransactionResult =
  | {readonly ok: true; readonly revision: Revision}
  /** `conflicts` lists the failed comparisons with the version that was found. */
  | {readonly ok: false; readonly reason: 'conflict'; readonly revision: Revision; readonly conflicts: readonly Compare[]}
  | {readonly ok: false; readonly reason: 'fenced'; readonly revision: Revision};

export interface ListOptions {
  /** Only keys that start with this. */
  readonly prefix?: string;
  /** Continue after this key (exclusive). */
  readonly after?: string;
  /** Most records of one page; default and most 1000. */
  readonly limit?: number;
}

export interface Page {
  readonly records: readonly StoredRecord[];
  /** Key to pass as `after` for the next page; undefined at the end. */
  readonly next?: string;
  /** Read *before* this page: where a watch that must miss nothing may start. */
  readonly revision: Revision;
}

export type ChangeEvent =
  | {readonly type: 'put'; readonly record: StoredRecord}
  | {readonly type: 'delete'; readonly collection: string; readonly key: string; readonly version: number};

export interface WatchBatch {
  readonly revision: Revision;
  /** In order of revision. Never empty except for a first batch that says from where the watch runs. */
  readonly events: readonly ChangeEvent[];
}

export interface WatchOptions {
  /** Collections to follow; all when absent. */
  readonly collections?: readonly string[];
  /** Deliver changes newer than this. Below the compaction floor, or of another epoch: error `compacted` (list again). */
  readonly from: Revision;
  readonly signal: AbortSignal;
}

export interface Lease {
  readonly id: string;
  readonly ttlMs: number;
}

/** What an election shows. `revision` is the fencing revision, the `n` at which this holder won. */
export interface Leadership {
  readonly election: string;
  readonly holder: string;
  readonly revision: number;
}

export interface StoreStatus {
  readonly driver: 'sqlite' | 'redis';
  readonly revision: Revision;
  /** Watches from below this `n` are refused. */
  readonly compactedTo: number;
  /** Settings that are weaker than the house asks for, in words; empty when all is well. */
  readonly warnings: readonly string[];
}

/** Methods reject with a HivemindError (see errors.ts): `unavailable` (503), `compacted`, `lease-expired`, `closed`, `too-large`, `invalid-input`. */
export interface Store {
  get(collection: string, key: string): Promise<StoredRecord | undefined>;
  /** Many gets in one step, in the order asked. */
  getMany(keys: readonly {readonly collection: string; readonly key: string}[]): Promise<readonly (StoredRecord | undefined)[]>;
  /** Keys come in the order of their UTF-8 bytes. */
  list(collection: string, options?: ListOptions): Promise<Page>;
  /** Names of the collections that hold records, sorted. */
  collections(): Promise<readonly string[]>;
  /**
   * Atomic, and on disk when it answers. Values are at most 1 MiB, a transaction 8 MiB and 4,096 writes (`too-large`).
   * `unavailable` means: not known to be written; read before trying again.
   */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** The newest revision. */
  revision(): Promise<Revision>;
  /** Ordered changes, without gap or repeat, whole transactions only, until aborted; the first batch may be empty. Ends by throwing `compacted` when it fell behind the floor or the epoch changed. */
  watch(options: WatchOptions): AsyncIterable<WatchBatch>;
  /** Leases live on the store's clock. A keep-alive writes no revision. When one lapses its records are deleted, logged as deletes. */
  grantLease(ttlMs: number): Promise<Lease>;
  /** Rejects with `lease-expired` when it had lapsed. */
  keepAlive(leaseId: string): Promise<void>;
  revokeLease(leaseId: string): Promise<void>;
  /** Tries once to win `election` under the lease; answers who leads now. The record lives in collection `elections`. */
  campaign(election: string, holder: string, leaseId: string): Promise<Leadership>;
  leader(election: string): Promise<Leadership | undefined>;
  /** Forget log entries older than `n`, in one step with raising the floor. Drivers also do so by themselves (default: keep 100,000 entries). */
  compact(n: number): Promise<void>;
  /** Begin a new epoch (restore, import, failover). */
  renewEpoch(): Promise<Revision>;
  status(): Promise<StoreStatus>;
  close(): Promise<void>;
}
