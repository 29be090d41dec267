/**
 * What every store driver must do (law 13), and every fake of one.
 *
 * `makeStore` opens an empty store; `elapse` lets time pass on the store's clock (an injected clock, or the real one).
 */
import type {Store, WatchOptions} from '../store.ts';
import {leasesContract} from './contract-leases.ts';
import {recordsContract} from './contract-records.ts';
import {watchesContract} from './contract-watches.ts';
import {Watching} from './watching.ts';

export interface ContractStore {
  readonly store: Store;
  /** Resolves once at least `ms` have passed for leases, and what lapsed thereby is being removed. */
  elapse(ms: number): Promise<void>;
  /** Closes the store and removes what it left. */
  dispose(): Promise<void>;
}

/** What a test has: a store of its own. */
export interface ContractContext {
  readonly store: Store;
  elapse(ms: number): Promise<void>;
  /** A watch that ends with the test, and the signal that ends it. */
  watch(options: Omit<WatchOptions, 'signal'>): Watching;
  readonly ended: AbortController;
}

/** Registers the suite with jest. */
export function storeContract(name: string, makeStore: () => Promise<ContractStore>): void {
  describe(`store contract: ${name}`, () => {
    let made: ContractStore;
    let ended: AbortController;

    beforeEach(async () => {
      made = await makeStore();
      ended = new AbortController();
    });

    afterEach(async () => {
      ended.abort();
      await made.dispose();
    });

    const context: ContractContext = {
      get store() {
        return made.store;
      },
      get ended() {
        return ended;
      },
      elapse: (ms) => made.elapse(ms),
      watch: (options) => new Watching(made.store.watch({...options, signal: ended.signal})),
    };

    recordsContract(context);
    watchesContract(context);
    leasesContract(context);
  });
}
