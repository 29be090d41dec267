/** What names are told in, and what is told of them. */
import type {NameCounters} from '@hivemind/discovery/names';

/** As the agent sends it: see `proto/sidecar.proto`. */
export interface NamesPart {
  readonly node: string;
  readonly listen: readonly string[];
  readonly virtualIps: boolean;
  readonly epoch: string;
  readonly from: number;
  readonly n: number;
  readonly whole: boolean;
  readonly part: number;
  readonly more: boolean;
  readonly items: Uint8Array;
}

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
