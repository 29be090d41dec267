/** The invariants of the loop (see controller.ts) under any interleaving of wakes, time, failures, stops and starts. */
import fc from 'fast-check';
import {createController} from './controller.ts';
import {FakeClock} from './testing/fake-clock.ts';

type Action =
  | {readonly do: 'wake' | 'finish' | 'fail'; readonly key: string}
  | {readonly do: 'wakeAt'; readonly key: string; readonly inMs: number}
  | {readonly do: 'advance'; readonly ms: number}
  | {readonly do: 'start' | 'stop'};

const key = fc.constantFrom('a', 'b', 'c');
const action: fc.Arbitrary<Action> = fc.oneof(
  {weight: 4, arbitrary: fc.record({do: fc.constantFrom('wake' as const, 'finish' as const, 'fail' as const), key})},
  {weight: 1, arbitrary: fc.record({do: fc.constant('wakeAt' as const), key, inMs: fc.integer({min: -5, max: 500})})},
  {weight: 3, arbitrary: fc.record({do: fc.constant('advance' as const), ms: fc.integer({min: 0, max: 120})})},
  {weight: 1, arbitrary: fc.record({do: fc.constantFrom('start' as const, 'start' as const, 'stop' as const)})},
);

class World {
  readonly clock = new FakeClock();
  readonly maxConcurrent = 2;
  readonly controller = createController({
    name: 'property',
    clock: this.clock,
    random: () => 0.5,
    maxConcurrent: this.maxConcurrent,
    logger: {warn: () => undefined},
    reconcile: (name) => this.#reconcile(name),
  });
  /** What broke; the loop would swallow an exception of a reconciler. */
  readonly broken: string[] = [];
  readonly #inFlight = new Map<string, PromiseWithResolvers<void>>();
  /** Keys woken since their last run began. */
  readonly owed = new Set<string>();
  #draining = false;

  #reconcile(name: string): Promise<void> {
    if (this.#inFlight.has(name)) this.broken.push(`two runs of ${name} at once`);
    if (this.#inFlight.size >= this.maxConcurrent) this.broken.push('more runs than allowed');
    this.owed.delete(name);
    if (this.#draining) return Promise.resolve();
    const run = Promise.withResolvers<void>();
    this.#inFlight.set(name, run);
    return run.promise;
  }

  async act(action: Action): Promise<void> {
    switch (action.do) {
      case 'wake':
        this.owed.add(action.key);
        return this.controller.wake(action.key);
      case 'wakeAt':
        this.owed.add(action.key);
        return this.controller.wakeAt(action.key, this.clock.now() + action.inMs);
      case 'finish':
      case 'fail': {
        const run = this.#inFlight.get(action.key);
        this.#inFlight.delete(action.key);
        if (action.do === 'finish') run?.resolve();
        else run?.reject(new Error('no'));
        return this.clock.advance(0);
      }
      case 'advance':
        return this.clock.advance(action.ms);
      case 'start':
        return this.controller.start();
      case 'stop':
        void this.controller.stop();
    }
  }

  /** Everything succeeds from here on, and there is time. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.controller.start();
    for (const [name, run] of this.#inFlight) {
      this.#inFlight.delete(name);
      run.resolve();
    }
    await this.clock.advance(60_000);
    await this.controller.idle();
  }
}

describe('controller, any interleaving', () => {
  it('never runs a key twice at once, runs after every wake, and forgets what is done', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, {maxLength: 60, size: 'max'}), async (actions) => {
        const world = new World();
        world.controller.start();
        for (const step of actions) await world.act(step);
        await world.drain();
        expect(world.broken).toEqual([]);
        expect([...world.owed]).toEqual([]);
        expect(world.controller.stats()).toEqual({due: 0, running: 0, delayed: 0, failing: 0});
        expect(world.clock.pending).toBe(0);
      }),
      {numRuns: 300},
    );
  });
});
