/** How tests of the bus wait and look. */
import {setTimeout as delay} from 'node:timers/promises';
import {isError} from '@hivemind/contracts';

/** Waits until it holds, or fails after 5 s. */
export async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('It did not become true within 5 s.');
    await delay(1);
  }
}

/** The code of the error that it fails with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isError(error) ? error.code : `not one of ours: ${String(error)}`;
  }
  return 'none';
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Attempts until one fails with `code` ('none': succeeds), or fails after 5 s. */
export async function eventuallyCode(attempt: () => Promise<unknown>, code: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (let seen = ''; seen !== code; seen = await codeOf(attempt())) {
    if (Date.now() > deadline) throw new Error(`It ended with "${seen}", not "${code}".`);
  }
}
