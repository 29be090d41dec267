/**
 * Gathers writes into groups, one sync each, with two groups on the way: while the disk works on one, the next is made.
 */
import {storeErrors} from '../errors.ts';
import type {GroupResult, WriteRequest, WriteResult} from './writer-protocol.ts';

/** Where groups are applied, in order: the worker, or this thread for a store in memory. */
export interface WriterBackend {
  send(group: readonly WriteRequest[]): Promise<GroupResult>;
  close(): Promise<void>;
}

const MAX_GROUP = 128;
const MAX_GROUP_BYTES = 8 * 1024 * 1024;
const MAX_ON_THE_WAY = 2;

interface Waiting {
  readonly request: WriteRequest;
  readonly bytes: number;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: Error) => void;
}

export type Commit = GroupResult & {readonly ok: true};

export interface GroupListener {
  /** Runs once a group, in order, before the group's writers hear of it. */
  readonly onCommit: (commit: Commit) => void;
  /** A group's fate may be unknown: look at what the disk holds. */
  readonly onFailure: () => void;
}

export class GroupWriter {
  readonly #backend: WriterBackend;
  readonly #listener: GroupListener;
  #queue: Waiting[] = [];
  #onTheWay = 0;
  #scheduled = false;
  #closing: (() => void) | undefined;
  #closed = false;

  constructor(backend: WriterBackend, listener: GroupListener) {
    this.#backend = backend;
    this.#listener = listener;
  }

  /** Rejects with `unavailable` or `closed`. `bytes` is the rough size. */
  submit(request: WriteRequest, bytes = 0): Promise<WriteResult> {
    if (this.#closed) return Promise.reject(storeErrors.closed('The store was closed.'));
    return new Promise((resolve, reject) => {
      this.#queue.push({request, bytes, resolve, reject});
      this.#schedule();
    });
  }

  /** Finish what was submitted, then close the backend. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#queue.length > 0 || this.#onTheWay > 0) await new Promise<void>((resolve) => (this.#closing = resolve));
    await this.#backend.close();
  }

  /** An immediate runs after all who were woken by the last answer have asked for their next write. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#queue.length > 0 && this.#onTheWay < MAX_ON_THE_WAY) void this.#send(this.#takeGroup());
    });
  }

  #takeGroup(): Waiting[] {
    let size = 0;
    let bytes = 0;
    for (const {bytes: more} of this.#queue) {
      if (size > 0 && (size === MAX_GROUP || bytes + more > MAX_GROUP_BYTES)) break;
      size += 1;
      bytes += more;
    }
    return this.#queue.splice(0, size);
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    this.#onTheWay += 1;
    const result = await this.#backend.send(group.map(({request}) => request));
    this.#onTheWay -= 1;
    if (result.ok) {
      this.#listener.onCommit(result);
      group.forEach(({resolve, reject}, index) => {
        const answer = result.results[index];
        if (answer === undefined) reject(storeErrors.unavailable('The writer gave no answer.'));
        else resolve(answer);
      });
    } else {
      this.#listener.onFailure();
      for (const {reject} of group) reject(storeErrors.unavailable(`Nothing was written: ${result.detail}. Reads go on; try again when the disk has room.`, {retryAfterMs: 1000}));
    }
    if (this.#queue.length > 0) this.#schedule();
    else if (this.#onTheWay === 0) this.#closing?.();
  }
}
