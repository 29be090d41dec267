/** What names are told in, and what is told of them. */
import type {NameCounters} from '@hivemind/discovery/names';

/** As the agent sends it: see `proto/sidecar.proto`. */
export type {NamesPart} from '@hivemind/discovery/node';

/** Where the names stand; an empty epoch: nothing is known. */
export interface NamesPoint {
  readonly epoch: string;
  readonly n: number;
}

export interface NamesVitals {
  readonly counters: NameCounters;
  /** Addresses, and whether they can be asked. */
  readonly listening: Readonly<Record<string, boolean>>;
  readonly services: number;
  /** Replies of other resolvers that are kept. */
  readonly cached: number;
}
