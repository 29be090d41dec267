/** What the thread of names and the main one say to each other. Both are of one release: nothing here is parsed. */
import type {NameCounters} from '@hivemind/discovery/names';

/** What the thread is started with. */
export interface NamesThreadSettings {
  /** What the agent keeps of names; undefined: nothing is kept. */
  readonly file: string | undefined;
}

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

export type ToNamesThread =
  | {readonly id: number; readonly kind: 'apply'; readonly part: NamesPart}
  | {readonly id: number; readonly kind: 'vitals'};

export type FromNamesThread =
  | {readonly kind: 'point'; readonly id: number; readonly point: NamesPoint}
  | {readonly kind: 'vitals'; readonly id: number; readonly vitals: NamesVitals}
  | {readonly kind: 'refusal'; readonly id: number; readonly message: string}
  | {readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly fields: Readonly<Record<string, unknown>>; readonly text: string};
