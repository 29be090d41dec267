/** Tells every machine what changed, as the one who leads; and every few seconds that nothing did, for those who missed it. */
import {type Bus, emit} from '@hivemind/bus';
import {namesChanged} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type {Feed} from './feed.ts';

export interface TellerOptions {
  readonly bus: Bus;
  readonly feed: Feed;
  /** The store is not adopted: machines keep what they have. */
  readonly held: () => boolean;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'debug'>;
}

/** ms that a change waits for others: many containers become ready at once. */
const GATHER_MS = 2;
const BEACON_MS = 5_000;
/** Characters of JSON, far below what a message takes. More is asked for. */
const MOST = 200 * 1024;

/** Answers how to stop. */
export function tellMachines({bus, feed, held, clock, logger}: TellerOptions): () => void {
  const changed = new Set<string>();
  let from = feed.at;
  let gathering: (() => void) | undefined;
  let cancelBeacon = (): void => undefined;
  const tell = (): void => {
    gathering = undefined;
    const ids = [...changed];
    changed.clear();
    const to = feed.at;
    // Across an epoch there is no "since": whoever hears of it asks.
    const since = from.epoch === to.epoch ? from.n : to.n;
    from = to;
    cancelBeacon();
    cancelBeacon = clock.setTimer(tell, BEACON_MS);
    if (held()) return;
    const items = ids.map((id) => feed.item(id));
    const fits = JSON.stringify(items).length <= MOST;
    emit(bus, namesChanged, {}, {epoch: to.epoch, from: since, to: to.n, ...(fits ? {items} : {})}).catch((err: unknown) => logger.debug({err}, 'the machines could not be told of names; the next word says that they missed one'));
  };
  const stop = feed.onChange((id) => {
    changed.add(id);
    gathering ??= clock.setTimer(tell, GATHER_MS);
  });
  tell();
  return () => {
    stop();
    gathering?.();
    cancelBeacon();
  };
}
