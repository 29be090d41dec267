/**
 * Being the one who leads. A candidate keeps a lease alive and campaigns under it; while it leads, it runs `onElected`.
 *
 * Intuition: the lease lapses `ttlMs` after the store took the last keep-alive, so not before `ttlMs` after that
 * keep-alive was *sent*. A leader that has heard no answer by then, less a margin, stops by its own clock. A stalled
 * process may notice late: the fence makes the store refuse what it still writes.
 */
import type {Logger} from 'pino';
import {isError} from '@hivemind/contracts';
import type {Fence, Store} from '@hivemind/store';
import {systemClock, type Clock} from './clock.ts';

/** The part of the store that leading needs. */
export type ElectionStore = Pick<Store, 'grantLease' | 'keepAlive' | 'revokeLease' | 'campaign' | 'revision' | 'watch'>;

export interface LeadershipOptions {
  readonly store: ElectionStore;
  /** What is led: one name a controller, or one for a whole manager. */
  readonly election: string;
  /** Who this is, for people to read; it is made unique by the lease's id. */
  readonly holder: string;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Default 4,000: a leader that was killed is missed for so long; one that stalls for less stays. */
  readonly ttlMs?: number;
  /** Pause (ms) between attempts; a candidate also tries when the leader's record goes. Default: a third of the ttl, at most 1,000. */
  readonly retryMs?: number;
  readonly clock?: Clock;
  /** Lead until `signal` aborts; write with `fence`. If it throws, the leadership is given up and sought anew. */
  readonly onElected: (fence: Fence, signal: AbortSignal) => void | Promise<void>;
  /** After `onElected` has ended, also on `stop`. */
  readonly onLost?: () => void;
}

export interface Leader {
  /** The proof of leadership while this one leads. */
  fence(): Fence | undefined;
  /** Stops leading, waits for `onElected`, and hands over at once. */
  stop(): Promise<void>;
}

/** Seeks leadership from now on until stopped. */
export function runAsLeader(options: LeadershipOptions): Leader {
  const candidate = new Candidate(options);
  const done = candidate.run();
  return {
    fence: () => candidate.fence,
    stop: async () => {
      candidate.stopping.abort();
      await done;
    },
  };
}

class Candidate {
  readonly stopping = new AbortController();
  fence: Fence | undefined;
  readonly #options: LeadershipOptions;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #retryMs: number;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#ttlMs = options.ttlMs ?? 4_000;
    this.#retryMs = options.retryMs ?? Math.min(1_000, this.#ttlMs / 3);
  }

  async run(): Promise<void> {
    const {election, logger} = this.#options;
    while (!this.stopping.signal.aborted) {
      try {
        await this.#term();
      } catch (err) {
        logger.warn({err, election}, 'leading, or seeking to, failed; it will be tried again');
      }
      await this.#pause(this.stopping.signal);
    }
  }

  /** One lease: campaign under it until won, lead until it is lost. */
  async #term(): Promise<void> {
    const {store} = this.#options;
    const sent = this.#clock.monotonic();
    const lease = await store.grantLease(this.#ttlMs);
    const keeper = new LeaseKeeper(store, this.#clock, lease.id, this.#ttlMs, sent);
    const over = AbortSignal.any([keeper.lost, this.stopping.signal]);
    try {
      const fence = await this.#win(`${this.#options.holder}#${lease.id}`, lease.id, over);
      if (fence) await this.#lead(fence, over);
    } finally {
      keeper.stop();
      // When it cannot be revoked it lapses.
      await store.revokeLease(lease.id).catch(() => undefined);
    }
  }

  async #win(holder: string, leaseId: string, over: AbortSignal): Promise<Fence | undefined> {
    const {store, election} = this.#options;
    while (!over.aborted) {
      const from = await store.revision();
      const leadership = await store.campaign(election, holder, leaseId);
      if (leadership.holder === holder) return over.aborted ? undefined : {election, revision: leadership.revision};
      const waited = new AbortController();
      const until = AbortSignal.any([over, waited.signal]);
      const vacated = this.#vacated(from, until);
      await Promise.race([vacated, this.#pause(until)]);
      waited.abort();
    }
    return undefined;
  }

  async #lead(fence: Fence, over: AbortSignal): Promise<void> {
    const {election, logger, onElected, onLost} = this.#options;
    logger.info({election, revision: fence.revision}, 'leading');
    this.fence = fence;
    const clear = (): void => void (this.fence = undefined);
    over.addEventListener('abort', clear, {once: true});
    try {
      await onElected(fence, over);
      if (!over.aborted) await aborted(over);
    } finally {
      clear();
      logger.info({election, revision: fence.revision}, 'no longer leading');
      onLost?.();
    }
  }

  /** Resolves when the leader's record is removed. */
  async #vacated(from: Awaited<ReturnType<Store['revision']>>, signal: AbortSignal): Promise<void> {
    const {store, election} = this.#options;
    try {
      for await (const {events} of store.watch({collections: ['elections'], from, signal})) {
        if (events.some((event) => event.type === 'delete' && event.key === election)) return;
      }
    } catch {
      // The watch only makes it quicker; the pause is what is relied upon.
    }
    await aborted(signal);
  }

  /** Waits `retryMs`, or until aborted. */
  #pause(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = this.#clock.setTimer(finish, this.#retryMs);
      signal.addEventListener('abort', finish, {once: true});
    });
  }
}

/** Keeps a lease alive, and says when it can no longer be relied upon. */
class LeaseKeeper {
  readonly #store: ElectionStore;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #ttlMs: number;
  readonly #lost = new AbortController();
  #deadline = 0;
  #cancelBeat: () => void = () => undefined;
  #cancelDeadline: () => void = () => undefined;

  constructor(store: ElectionStore, clock: Clock, id: string, ttlMs: number, grantedAt: number) {
    this.#store = store;
    this.#clock = clock;
    this.#id = id;
    this.#ttlMs = ttlMs;
    this.#extend(grantedAt);
    this.#beatIn(ttlMs / 3);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  stop(): void {
    this.#lost.abort();
    this.#cancelBeat();
    this.#cancelDeadline();
  }

  /** A tenth of the ttl is left for clocks that do not run alike, and for stopping. */
  #extend(sentAt: number): void {
    this.#deadline = sentAt + this.#ttlMs * 0.9;
    this.#cancelDeadline();
    this.#cancelDeadline = this.#clock.setTimer(() => this.stop(), Math.max(0, this.#deadline - this.#clock.monotonic()));
  }

  #beatIn(ms: number): void {
    this.#cancelBeat = this.#clock.setTimer(() => void this.#beat(), ms);
  }

  async #beat(): Promise<void> {
    const sent = this.#clock.monotonic();
    // After a stall, this timer may come before the deadline's.
    if (sent >= this.#deadline) return this.stop();
    try {
      await this.#store.keepAlive(this.#id);
      if (this.#lost.signal.aborted) return;
      this.#extend(sent);
      this.#beatIn(this.#ttlMs / 3);
    } catch (error) {
      if (isError(error, 'lease-expired')) this.stop();
      else if (!this.#lost.signal.aborted) this.#beatIn(this.#ttlMs / 10);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
}
