/**
 * Before a container that others reach is stopped for good: nobody is led to it any more, and those who are connected are done, or
 * the time for that has passed.
 */
import type {Clock} from '@hivemind/controller';

/** Who leads traffic to the machine's containers. */
export interface Rotation {
  /**
   * Resolves when no ready machine leads anybody to the container, or nobody could say; at the latest after `ms`, then with what was
   * waited for in vain.
   * @throws the signal's reason
   */
  left(container: string, ms: number, signal: AbortSignal): Promise<string | undefined>;
}

export interface DrainOptions {
  readonly rotation: Rotation;
  /** Connections to the container that are not over. */
  readonly connections: () => Promise<number>;
  readonly clock: Clock;
}

/** Between two looks at the connections, ms: at first, and at most. */
const LOOK_MS = {first: 20, most: 250};
/** For so long (ms) there is to be none: what was led here before the last machine changed its rules may still be on its way. */
const QUIET_MS = 100;

/**
 * @returns what was waited for in vain, for people
 * @throws the signal's reason
 */
export async function drain(container: string, ms: number, {rotation, connections, clock}: DrainOptions, signal: AbortSignal): Promise<string | undefined> {
  const start = clock.monotonic();
  const wanting = await rotation.left(container, ms, signal);
  if (wanting !== undefined) return `waited in vain for ${wanting}`;
  let quiet = false;
  for (let pause = LOOK_MS.first; ; pause = Math.min(LOOK_MS.most, pause * 1.5)) {
    const open = await connections();
    signal.throwIfAborted();
    const left = start + ms - clock.monotonic();
    if (open === 0 && (quiet || left <= 0)) return undefined;
    if (left <= 0) return open === 1 ? 'a connection was still open' : `${open} connections were still open`;
    quiet = open === 0;
    await sleep(Math.min(quiet ? QUIET_MS : pause, left), clock, signal);
  }
}

function sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(done, ms);
    signal.addEventListener('abort', done, {once: true});
  });
}
