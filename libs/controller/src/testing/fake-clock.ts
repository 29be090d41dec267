import {setImmediate as turn} from 'node:timers/promises';
import type {Clock} from '../clock.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Turns of the event loop given to what a timer started: enough for a chain of promises and a store in memory, not for I/O. */
const SETTLE_TURNS = 12;

async function settle(): Promise<void> {
  for (let count = 0; count < SETTLE_TURNS; count++) await turn();
}

/** A clock that moves only when told to. */
export class FakeClock implements Clock {
  readonly #epoch: number;
  #elapsed = 0;
  #timers: Timer[] = [];

  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  setTimer(callback: () => void, ms: number): () => void {
    const timer = {at: this.#elapsed + ms, callback};
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, firing timers in their order and letting what they start settle before the next. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms;
    await settle();
    for (let next = this.#next(target); next; next = this.#next(target)) {
      this.#elapsed = Math.max(this.#elapsed, next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.callback();
      await settle();
    }
    this.#elapsed = Math.max(this.#elapsed, target);
  }

  /** Moves on by `ms` as after a stall: nothing runs until the end, then all that is due. */
  async stall(ms: number): Promise<void> {
    this.#elapsed += ms;
    await this.advance(0);
  }

  #next(target: number): Timer | undefined {
    return this.#timers.filter((timer) => timer.at <= target).reduce<Timer | undefined>((first, timer) => (first && first.at <= timer.at ? first : timer), undefined);
  }
}
