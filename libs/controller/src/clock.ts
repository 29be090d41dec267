/** Time as a parameter: what waits or measures takes a clock, so that tests own it. */
export interface Clock {
  /** Milliseconds since the epoch, as people and records mean it. May jump. */
  now(): number;
  /** Milliseconds that only go forward; only differences mean something. */
  monotonic(): number;
  /** Calls once after `ms`; answers how to cancel. */
  setTimer(callback: () => void, ms: number): () => void;
}

/** The longest that Node's timers can wait (24.8 days); a later one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER_MS)).unref();
    return () => clearTimeout(timer);
  },
};
