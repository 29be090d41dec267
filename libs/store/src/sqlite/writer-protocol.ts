/** What the store's thread asks of its writer, in groups, and what comes back. Both ends are of one release and one process. */
import type {Compare, Transaction} from '../store.ts';
import type {State} from './schema.ts';

export type WriteRequest =
  | {readonly op: 'transact'; readonly transaction: Transaction}
  | {readonly op: 'grant-lease'; readonly id: string; readonly ttlMs: number}
  | {readonly op: 'end-leases'; readonly ids: readonly string[]}
  | {readonly op: 'campaign'; readonly election: string; readonly holder: string; readonly leaseId: string}
  | {readonly op: 'compact'; readonly n: number}
  | {readonly op: 'renew-epoch'; readonly epoch: string};

export type WriteResult =
  /** Done; the newest revision then. */
  | number
  | {readonly conflicts: readonly Compare[]; readonly n: number}
  | {readonly fenced: true; readonly n: number}
  /** The record of who leads. */
  | {readonly election: {readonly value: string; readonly created: number}}
  | {readonly leaseExpired: string};

export type GroupResult =
  /** On disk. `log` is the encoded group when it changed records, `state` what holds after it. */
  | {readonly ok: true; readonly results: readonly WriteResult[]; readonly log: string | undefined; readonly state: State}
  /** Nothing of the group was written. */
  | {readonly ok: false; readonly detail: string};

export interface WriterOptions {
  /** Change-log entries kept, counted in transactions. */
  readonly retainLog: number;
}
