/** Time as the store needs it: monotonic, in ms, with a way to be woken. Injected, so that tests own it. */
export interface Clock {
  /** Monotonic ms; only differences mean something. */
  now(): number;
  /** Calls once after `ms`; answers how to cancel. */
  after(ms: number, callback: () => void): () => void;
}

/** The process's monotonic clock; its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};
