/**
 * The reconcile loop: "something changed" and "make it so" are apart. Whoever learns of a change wakes a key; the
 * reconciler of that key reads everything anew and acts. So wake-ups may come doubled, late, or for no reason.
 *
 * What holds:
 * 1. Never two runs of one key at once, also across stop and start.
 * 2. While started, every wake is followed by a run of its key that begins after it.
 * 3. A key that fails is tried again with back-off, and delays no other key. Waking it meanwhile shortens the back-off to
 *    its first step, not to nothing: a reconciler that is woken by its own writes must not spin.
 */
import type {Logger} from 'pino';
import {systemClock, type Clock} from './clock.ts';

export interface ControllerOptions {
  /** For logs and metrics. */
  readonly name: string;
  /** Make it so. May run at any time for any key, also one that is gone. `signal` aborts on stop. What it throws is retried. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly clock?: Clock;
  /** In [0, 1); for the jitter of the back-off. */
  readonly random?: () => number;
  /** Runs at once, of different keys; default 8. */
  readonly maxConcurrent?: number;
  /** How long (ms) a wake may wait for others to join it; never longer, however many come. Default 1; 0 is the next microtask. */
  readonly coalesceMs?: number;
  /** Default: 100 ms doubling to 30 s, each shortened by up to a quarter at random. */
  readonly backoff?: {readonly initialMs: number; readonly maxMs: number};
  /** All keys there are: woken at start, and every `resyncMs` as a net under lost wake-ups. */
  readonly keys?: () => Iterable<string> | Promise<Iterable<string>>;
  readonly resyncMs?: number;
  readonly hooks?: ControllerHooks;
}

/** For metrics; called synchronously, must not throw. */
export interface ControllerHooks {
  onRun?(run: {readonly controller: string; readonly key: string; readonly durationMs: number; readonly outcome: 'done' | 'failed' | 'aborted'}): void;
}

export interface ControllerStats {
  /** Keys that wait for their run. */
  readonly due: number;
  readonly running: number;
  /** Keys with a wake at a later time, back-off among them. */
  readonly delayed: number;
  /** Keys whose last run failed. */
  readonly failing: number;
}

export interface Controller {
  /** Run this key soon. Before `start` and after `stop` it is remembered. */
  wake(key: string): void;
  /** Run this key at `timeMs` (since the epoch). One later wake a key is kept, the earliest: each run decides anew when to be woken next. */
  wakeAt(key: string, timeMs: number): void;
  start(): void;
  /** Aborts what runs and waits for it. What was due or delayed is due at the next start. */
  stop(): Promise<void>;
  /** Resolves when nothing runs and nothing is due; later wakes and back-off do not count. */
  idle(): Promise<void>;
  stats(): ControllerStats;
}

interface Entry {
  running: boolean;
  /** Woken during its run. */
  woken: boolean;
  failures: number;
  /** Monotonic ms before which a failed key is not tried again, whoever wakes it. */
  notBefore: number;
  later: {readonly at: number; readonly cancel: () => void} | undefined;
}

/** From a start to its stop. */
interface Session {
  readonly abort: AbortController;
  cancelResync: () => void;
}

export function createController(options: ControllerOptions): Controller {
  return new ReconcileLoop(options);
}

class ReconcileLoop implements Controller {
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxConcurrent: number;
  readonly #coalesceMs: number;
  readonly #backoff: {readonly initialMs: number; readonly maxMs: number};
  /** Keys that run, wait for a later time, or failed. Others are forgotten. */
  readonly #entries = new Map<string, Entry>();
  /** In order of their first wake. */
  readonly #due = new Set<string>();
  readonly #waitingForIdle: (() => void)[] = [];
  #running = 0;
  #gathering = false;
  #session: Session | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#maxConcurrent = options.maxConcurrent ?? 8;
    this.#coalesceMs = options.coalesceMs ?? 1;
    this.#backoff = options.backoff ?? {initialMs: 100, maxMs: 30_000};
  }

  wake(key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.running) entry.woken = true;
    else if (entry && this.#session && entry.notBefore > this.#clock.monotonic()) this.#delay(key, entry, entry.notBefore);
    else this.#makeDue(key);
  }

  wakeAt(key: string, timeMs: number): void {
    const delayMs = timeMs - this.#clock.now();
    if (delayMs <= 0) this.wake(key);
    else if (!this.#due.has(key)) this.#delay(key, this.#entry(key), this.#clock.monotonic() + delayMs);
  }

  start(): void {
    if (this.#session) return;
    this.#session = {abort: new AbortController(), cancelResync: () => undefined};
    void this.#resync(this.#session);
    this.#gather();
  }

  async stop(): Promise<void> {
    this.#session?.abort.abort();
    this.#session?.cancelResync();
    this.#session = undefined;
    for (const [key, entry] of this.#entries) if (entry.later) this.#makeDue(key);
    await this.#settled(() => this.#running === 0);
  }

  idle(): Promise<void> {
    return this.#settled(() => this.#running === 0 && this.#due.size === 0);
  }

  stats(): ControllerStats {
    const entries = [...this.#entries.values()];
    return {
      due: this.#due.size,
      running: this.#running,
      delayed: entries.filter((entry) => entry.later).length,
      failing: entries.filter((entry) => entry.failures > 0).length,
    };
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (!entry) this.#entries.set(key, (entry = {running: false, woken: false, failures: 0, notBefore: 0, later: undefined}));
    return entry;
  }

  #makeDue(key: string): void {
    const entry = this.#entries.get(key);
    entry?.later?.cancel();
    if (entry) entry.later = undefined;
    this.#due.add(key);
    this.#gather();
  }

  /** Keeps the earliest later wake of a key. */
  #delay(key: string, entry: Entry, at: number): void {
    if (entry.later && entry.later.at <= at) return;
    entry.later?.cancel();
    const fire = (): void => {
      entry.later = undefined;
      this.wake(key);
    };
    entry.later = {at, cancel: this.#clock.setTimer(fire, Math.max(0, at - this.#clock.monotonic()))};
  }

  /** Lets wake-ups join for `coalesceMs` from the first one on, then runs what is due. */
  #gather(): void {
    if (this.#gathering || !this.#session || this.#due.size === 0) return;
    this.#gathering = true;
    const gathered = (): void => {
      this.#gathering = false;
      this.#dispatch();
    };
    if (this.#coalesceMs === 0) queueMicrotask(gathered);
    else this.#clock.setTimer(gathered, this.#coalesceMs);
  }

  #dispatch(): void {
    if (!this.#session) return;
    for (const key of this.#due) {
      if (this.#running >= this.#maxConcurrent) return;
      this.#due.delete(key);
      const entry = this.#entry(key);
      // Only after a stop and start: it still runs, and is run again when that has ended.
      if (entry.running) entry.woken = true;
      else void this.#run(key, entry, this.#session.abort.signal);
    }
  }

  async #run(key: string, entry: Entry, signal: AbortSignal): Promise<void> {
    entry.running = true;
    this.#running++;
    const began = this.#clock.monotonic();
    let outcome: 'done' | 'failed' | 'aborted' = 'done';
    try {
      await this.#options.reconcile(key, signal);
      entry.failures = 0;
      entry.notBefore = 0;
    } catch (err) {
      outcome = signal.aborted ? 'aborted' : 'failed';
      if (outcome === 'failed') this.#backOff(key, entry, err);
    }
    entry.running = false;
    this.#running--;
    const durationMs = this.#clock.monotonic() - began;
    this.#options.hooks?.onRun?.({controller: this.#options.name, key, durationMs, outcome});
    this.#afterRun(key, entry, signal.aborted);
  }

  #afterRun(key: string, entry: Entry, again: boolean): void {
    const {woken} = entry;
    entry.woken = false;
    if (woken || again) this.wake(key);
    if (!entry.later && entry.failures === 0) this.#entries.delete(key);
    if (!this.#gathering) this.#dispatch();
    for (const check of this.#waitingForIdle.splice(0)) check();
  }

  #backOff(key: string, entry: Entry, err: unknown): void {
    const {initialMs, maxMs} = this.#backoff;
    entry.failures++;
    const full = Math.min(maxMs, initialMs * 2 ** (entry.failures - 1));
    const retryInMs = full * (1 - this.#random() / 4);
    const now = this.#clock.monotonic();
    entry.notBefore = now + Math.min(initialMs, retryInMs);
    this.#options.logger.warn({err, controller: this.#options.name, key, failures: entry.failures, retryInMs}, 'reconciling failed; it will be tried again');
    this.#delay(key, entry, now + retryInMs);
  }

  async #resync(session: Session): Promise<void> {
    const {keys, resyncMs, name, logger} = this.#options;
    if (!keys) return;
    try {
      for (const key of await keys()) this.wake(key);
    } catch (err) {
      logger.warn({err, controller: name}, 'listing the keys failed');
    }
    if (resyncMs === undefined || session !== this.#session) return;
    session.cancelResync = this.#clock.setTimer(() => void this.#resync(session), resyncMs);
  }

  #settled(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (holds()) resolve();
        else this.#waitingForIdle.push(check);
      };
      check();
    });
  }
}
