/** Waiting between attempts. */
import type {Clock} from './clock.ts';

/** ms before attempt `failures` + 1: 50, 100, 200 … 5,000. Many who lost the same store come back spread out by `random` (0 to 1). */
export function backoff(failures: number, random: number): number {
  return Math.min(5_000, 50 * 2 ** Math.min(failures - 1, 10)) * (0.75 + random / 2);
}

/** Resolves after `ms`, or at once when aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      cancel();
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done);
  });
}
