/** A clock that stands still until it is told to move. */
import type {Clock} from '../clock.ts';

export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{readonly at: number; readonly callback: () => void}>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = {at: this.#now + ms, callback};
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Runs what is due on the way, each at its time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({at}) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = end;
  }

  /** Jumps as when the process was stopped: what is due meanwhile runs late. */
  stall(ms: number): void {
    this.#now += ms;
    this.advance(0);
  }
}
