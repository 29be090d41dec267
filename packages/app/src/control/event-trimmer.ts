/** Keeps the newest events of each namespace. Any manager adds events; this one alone removes them. */
import type {ManagerContext} from '@hivemind/service';
import {events} from './collections.ts';

export const KEPT_EVENTS = 1000;
const EVERY_MS = 60_000;
/** Deletions of one transaction. */
const BATCH = 1000;

/** Trims now and then until `signal` aborts. */
export function trimEvents(context: Pick<ManagerContext, 'store' | 'logger'>, signal: AbortSignal): void {
  const trim = (): void => {
    trimOnce(context, signal).catch((err: unknown) => context.logger.warn({err}, 'events could not be trimmed'));
  };
  const timer = setInterval(trim, EVERY_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), {once: true});
}

/** Keys begin with namespace and time, so the oldest of a namespace come first. */
export async function trimOnce({store}: Pick<ManagerContext, 'store'>, signal: AbortSignal): Promise<void> {
  const keys = new Map<string, string[]>();
  let after: string | undefined;
  do {
    const page = await store.list(events.name, {...(after === undefined ? {} : {after})});
    for (const {key} of page.records) {
      const namespace = key.slice(0, key.indexOf('/'));
      const known = keys.get(namespace);
      if (known) known.push(key);
      else keys.set(namespace, [key]);
    }
    after = page.next;
  } while (after !== undefined && !signal.aborted);
  const old = [...keys.values()].flatMap((each) => each.slice(0, Math.max(0, each.length - KEPT_EVENTS)));
  for (let next = 0; next < old.length && !signal.aborted; next += BATCH) {
    await store.transact({writes: old.slice(next, next + BATCH).map((key) => events.deleting(key))});
  }
}
