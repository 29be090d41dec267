/**
 * The deadline index of leases, for a driver whose store lives in this very process.
 *
 * Deadlines are not stored: when the store comes back every lease restarts full (law 10), and so it does when this
 * process was stalled, as nobody could have kept a lease alive meanwhile. A lease ends when it is reaped, not before,
 * so a keep-alive that was only waiting for the event loop is honoured.
 */
import type {Clock} from './clock.ts';

/** A timer later than this (ms) means the process was stalled. */
const STALL_MS = 500;

export class LeaseDeadlines {
  readonly #clock: Clock;
  readonly #onLapse: (ids: readonly string[]) => void;
  readonly #leases = new Map<string, {ttlMs: number; deadline: number}>();
  #cancel: (() => void) | undefined;
  #wakeAt = Infinity;

  constructor(clock: Clock, onLapse: (ids: readonly string[]) => void) {
    this.#clock = clock;
    this.#onLapse = onLapse;
  }

  start(id: string, ttlMs: number): void {
    this.#leases.set(id, {ttlMs, deadline: this.#clock.now() + ttlMs});
    this.#schedule();
  }

  /** Begin the lease's time anew; false when it has lapsed. */
  renew(id: string): boolean {
    const lease = this.#leases.get(id);
    if (!lease) return false;
    // The timer is left alone: firing early costs less than moving it at every keep-alive.
    lease.deadline = this.#clock.now() + lease.ttlMs;
    return true;
  }

  end(id: string): boolean {
    return this.#leases.delete(id);
  }

  stop(): void {
    this.#cancel?.();
    this.#leases.clear();
  }

  #schedule(): void {
    let next = Infinity;
    for (const {deadline} of this.#leases.values()) next = Math.min(next, deadline);
    if (next === Infinity || next >= this.#wakeAt) return;
    this.#cancel?.();
    this.#wakeAt = next;
    this.#cancel = this.#clock.after(Math.max(0, next - this.#clock.now()), () => this.#reap());
  }

  #reap(): void {
    const now = this.#clock.now();
    const late = now - this.#wakeAt;
    this.#wakeAt = Infinity;
    const lapsed: string[] = [];
    for (const [id, lease] of this.#leases) {
      if (late > STALL_MS) lease.deadline = now + lease.ttlMs;
      else if (lease.deadline <= now) lapsed.push(id);
    }
    for (const id of lapsed) this.#leases.delete(id);
    if (lapsed.length > 0) this.#onLapse(lapsed);
    this.#schedule();
  }
}
