/**
 * A light brake on guessing. Secrets have 256 bits, so this is not what keeps them: it keeps somebody who tries from costing
 * much. Only failures count, per address.
 */
import {joinErrors} from './join-errors.ts';

const WINDOW_MS = 60_000;
const MOST_FAILURES = 20;
/** Addresses remembered; past it the oldest is forgotten. */
const MOST_ADDRESSES = 1_000;

export class Attempts {
  readonly #now: () => number;
  readonly #failures = new Map<string, {count: number; readonly since: number}>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Runs an attempt of `address`. @throws `too-many-attempts` 429, and what the attempt throws */
  async of<T>(address: string, attempt: () => Promise<T>): Promise<T> {
    const now = this.#now();
    const known = this.#failures.get(address);
    const current = known && now - known.since < WINDOW_MS ? known : undefined;
    if (current && current.count >= MOST_FAILURES) {
      throw joinErrors['too-many-attempts'](`${current.count} attempts from ${address} failed within a minute. Wait, and check the token.`, {retryAfterMs: current.since + WINDOW_MS - now});
    }
    try {
      return await attempt();
    } catch (error) {
      this.#failures.delete(address);
      this.#failures.set(address, {count: (current?.count ?? 0) + 1, since: current?.since ?? now});
      const [oldest] = this.#failures.keys();
      if (this.#failures.size > MOST_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
      throw error;
    }
  }
}
