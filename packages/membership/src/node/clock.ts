/** Time and chance for the pure core. */
import {randomFillSync} from 'node:crypto';

/** Monotonic ms. */
export const monotonic = (): number => performance.now();

const pool = new Uint32Array(1024);
let drawn = pool.length;

/** Uniform in [0, 1), from the system's secure source: who can foretell it can aim at the member that is about to be asked. */
export function secureRandom(): number {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  const value = pool[drawn] ?? 0;
  drawn += 1;
  return value / 2 ** 32;
}

/** More rounds than a full socket buffer needs. */
const MAX_ROUNDS = 64;

/**
 * Wakes once a moment has come, after the socket was read. A process that was stopped finds answers in its socket that came long ago;
 * to act on due timers first would mean to suspect everyone who answered in time. The event loop runs timers before it reads, so a
 * wake-up yields to it until a round has brought nothing new.
 */
export class Alarm {
  readonly #now: () => number;
  readonly #received: () => number;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  #draining = false;
  #stopped = false;

  /** `received`: how many packets have been read. */
  constructor(now: () => number, received: () => number, ring: () => void) {
    this.#now = now;
    this.#received = received;
    this.#ring = ring;
  }

  /** The moment may be past, or never (Infinity). Replaces the one before. */
  set(due: number): void {
    if (this.#stopped || this.#draining) return;
    // An earlier wake-up is left standing: it finds that it is not time yet, and costs less than setting a timer for each packet.
    if (this.#timer && this.#due <= due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = due === Infinity ? undefined : setTimeout(() => this.#wake(), Math.min(MAX_WAIT, Math.max(0, Math.ceil(due - this.#now()))));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wake(): void {
    this.#timer = undefined;
    this.#draining = true;
    this.#drain(MAX_ROUNDS, -1);
  }

  #drain(rounds: number, before: number): void {
    if (this.#stopped) return;
    const received = this.#received();
    if (rounds > 0 && received !== before) {
      setImmediate(() => this.#drain(rounds - 1, received));
      return;
    }
    this.#draining = false;
    this.#due = Infinity;
    this.#ring();
  }
}

/** setTimeout takes no longer. */
const MAX_WAIT = 2 ** 31 - 1;
