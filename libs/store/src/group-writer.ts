/**
 * Gathers writes into groups, one sync each, with two groups on the way: while the disk works on one, the next is made.
 */
import {storeErrors} from './errors.ts';

export type GroupOutcome<A> =
  | {readonly ok: true; readonly results: readonly A[]}
  /** Nothing of the group is known to be written. */
  | {readonly ok: false; readonly detail: string};

/** Applies groups in the order they are sent; one result a request. Must not reject. */
export type SendGroup<Q, A> = (group: readonly Q[]) => Promise<GroupOutcome<A>>;

const MAX_GROUP = 512;
/** From here on what waits is halved, so that there is something to make while the disk works. */
const WORTH_HALVING = 64;
const MAX_GROUP_BYTES = 8 * 1024 * 1024;
const MAX_ON_THE_WAY = 2;

interface Waiting<Q, A> {
  readonly request: Q;
  readonly bytes: number;
  readonly resolve: (result: A) => void;
  readonly reject: (error: Error) => void;
}

export class GroupWriter<Q, A> {
  readonly #send: SendGroup<Q, A>;
  #queue: Waiting<Q, A>[] = [];
  #onTheWay = 0;
  #scheduled = false;
  #idle: (() => void) | undefined;
  #closed = false;

  constructor(send: SendGroup<Q, A>) {
    this.#send = send;
  }

  /** Rejects with `unavailable` or `closed`. `bytes` is the rough size. */
  submit(request: Q, bytes = 0): Promise<A> {
    if (this.#closed) return Promise.reject(storeErrors.closed('The store was closed.'));
    return new Promise((resolve, reject) => {
      this.#queue.push({request, bytes, resolve, reject});
      this.#schedule();
    });
  }

  /** Takes no more, and resolves when what was submitted is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#queue.length > 0 || this.#onTheWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** An immediate runs after all who were woken by the last answer have asked for their next write. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#queue.length > 0 && this.#onTheWay < MAX_ON_THE_WAY) void this.#dispatch(this.#takeGroup());
    });
  }

  #takeGroup(): Waiting<Q, A>[] {
    const waiting = this.#queue.length;
    const most = Math.min(MAX_GROUP, this.#onTheWay === 0 && waiting >= WORTH_HALVING ? Math.ceil(waiting / 2) : waiting);
    let size = 0;
    let bytes = 0;
    for (const {bytes: more} of this.#queue) {
      if (size > 0 && (size === most || bytes + more > MAX_GROUP_BYTES)) break;
      size += 1;
      bytes += more;
    }
    return this.#queue.splice(0, size);
  }

  async #dispatch(group: readonly Waiting<Q, A>[]): Promise<void> {
    this.#onTheWay += 1;
    const outcome = await this.#send(group.map(({request}) => request));
    this.#onTheWay -= 1;
    group.forEach(({resolve, reject}, index) => {
      const answer = outcome.ok ? outcome.results[index] : undefined;
      if (answer !== undefined) resolve(answer);
      else reject(storeErrors.unavailable(outcome.ok ? 'The writer gave no answer.' : outcome.detail, {retryAfterMs: 1000}));
    });
    if (this.#queue.length > 0) this.#schedule();
    else if (this.#onTheWay === 0) this.#idle?.();
  }
}
