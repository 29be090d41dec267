/** What every runtime does alike. The Docker driver passes it on a real engine, the fake in memory. */
import {ContractBench, type RuntimeUnderTest} from './contract/bench.ts';
import {imageContract} from './contract/images.ts';
import {lifeContract} from './contract/life.ts';
import {streamContract} from './contract/streams.ts';

export type {RuntimeUnderTest} from './contract/bench.ts';

/** What a runtime may not have: it then refuses, in words. */
export interface Lacks {
  /** A builder of images. */
  readonly builder?: boolean;
}

/** @param make Called once before all; `close` closes the runtimes and removes what the tests left. */
export function runtimeContract(name: string, make: () => Promise<{readonly under: RuntimeUnderTest; close(): Promise<void>}>, lacks: Lacks = {}): void {
  describe(`runtime contract: ${name}`, () => {
    const bench = new ContractBench();
    let close: (() => Promise<void>) | undefined;

    beforeAll(async () => {
      const made = await make();
      close = () => made.close();
      bench.begin(made.under);
    }, 60_000);
    afterAll(() => close?.(), 60_000);
    afterEach(() => bench.clear());

    lifeContract(bench);
    streamContract(bench);
    imageContract(bench, lacks);
  });
}
