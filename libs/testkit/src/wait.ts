import {setTimeout as pause} from 'node:timers/promises';
import {types} from 'node:util';

export interface WaitOptions {
  /** What is waited for, as it should read after "waited 10 s for". */
  what: string;
  /** Give up after this many milliseconds; default 10 000. */
  deadlineMs?: number;
  /** Milliseconds between two looks; default 20. */
  intervalMs?: number;
}

/**
 * Looks until `condition` answers something truthy and returns it. A throw counts as "not yet": it is
 * shown if the deadline passes. Tests use this in place of every sleep.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  {what, deadlineMs = 10_000, intervalMs = 20}: WaitOptions,
): Promise<Exclude<Awaited<T>, false | 0 | '' | null | undefined>> {
  type Truthy = Exclude<Awaited<T>, false | 0 | '' | null | undefined>;
  const started = performance.now();
  for (;;) {
    let last: unknown;
    try {
      last = await condition();
      if (last) return last as Truthy;
    } catch (error) {
      last = error;
    }
    if (performance.now() - started >= deadlineMs) {
      const seen = types.isNativeError(last) ? `failed: ${last.message}` : `saw: ${String(last)}`;
      throw new Error(`waited ${deadlineMs / 1000} s for ${what}; the last look ${seen}`, {cause: last});
    }
    await pause(intervalMs);
  }
}
