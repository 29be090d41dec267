/**
 * Tells every machine what changed, as the one who leads, and how far all of them have applied it; and every few seconds that nothing
 * did, for those who missed it.
 */
import {type Bus, emit} from '@hivemind/bus';
import {type namesApplied, namesChanged} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type * as z from 'zod';
import {AppliedCount, takesOut} from '../core/applied.ts';
import type {Feed} from './feed.ts';

export interface TellerOptions {
  readonly bus: Bus;
  readonly feed: Pick<Feed, 'at' | 'item' | 'onChange'>;
  /** The store is not adopted: machines keep what they have. */
  readonly held: () => boolean;
  /** Who leads, another at each election. */
  readonly by: string;
  /** Whether it is waited for, where it uses names. */
  readonly isReady: (node: string) => boolean;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'debug'>;
}

export interface Telling {
  /** A machine says how far it has applied what it was told. */
  heard(node: string, word: z.infer<typeof namesApplied.message>): void;
  /** Somebody may be waited for no longer. */
  look(): void;
  stop(): void;
}

/** ms that a change waits for others: many containers become ready at once. */
const GATHER_MS = 2;
const BEACON_MS = 5_000;
/** While a machine has something yet to apply: its word may be lost. */
const WAITING_MS = 1_000;
/** Characters of JSON, far below what a message takes. More is asked for. */
const MOST = 200 * 1024;

export function tellMachines({bus, feed, held, by, isReady, clock, logger}: TellerOptions): Telling {
  const changed = new Set<string>();
  let from = feed.at;
  let count = new AppliedCount(`${by} ${from.epoch}`, from.n, clock.monotonic());
  let epoch = from.epoch;
  /** Up to where all machines were said to be. */
  let said: number | null = null;
  let saidAt = -Infinity;
  let next: {readonly at: number; readonly cancel: () => void} | undefined;
  const tellIn = (ms: number): void => {
    const at = clock.monotonic() + ms;
    if (next && next.at <= at) return;
    next?.cancel();
    next = {at, cancel: clock.setTimer(tell, ms)};
  };
  const tell = (): void => {
    const now = clock.monotonic();
    const ids = [...changed];
    changed.clear();
    const to = feed.at;
    // Across an epoch there is no "since": whoever hears of it asks.
    const since = from.epoch === to.epoch ? from.n : to.n;
    from = to;
    if (to.epoch !== epoch) count = new AppliedCount(`${by} ${to.epoch}`, to.n, now);
    ({epoch} = to);
    next?.cancel();
    next = undefined;
    if (held()) return tellIn(BEACON_MS);
    const items = ids.map((id) => feed.item(id));
    const fits = JSON.stringify(items).length <= MOST;
    const everywhere = count.say({since, to: to.n, out: takesOut(items)}, isReady, now);
    [said, saidAt] = [everywhere.n, now];
    emit(bus, namesChanged, {}, {epoch: to.epoch, from: since, to: to.n, ...(fits ? {items} : {}), everywhere}).catch((err: unknown) => logger.debug({err}, 'the machines could not be told of names; the next word says that they missed one'));
    tellIn(count.listensFor(now) || (count.isWaiting(isReady) ? WAITING_MS : BEACON_MS));
  };
  /** Words of machines come one after the other: what they come to is told with as many of them as may be. */
  const tellSoon = (): void => tellIn(Math.max(GATHER_MS, saidAt + count.everyMs - clock.monotonic()));
  const look = (): void => {
    const through = count.through(from.n, isReady, clock.monotonic());
    if (through !== null && through > (said ?? -1)) tellSoon();
  };
  const stop = feed.onChange((id) => {
    changed.add(id);
    tellIn(GATHER_MS);
  });
  tell();
  return {
    heard(node, word) {
      if (word.epoch !== epoch) return;
      if (count.heard(node, word.n, clock.monotonic())) tellSoon();
      look();
    },
    look,
    stop() {
      stop();
      next?.cancel();
    },
  };
}
