import {createController, type Controller, type ControllerOptions} from './controller.ts';
import {FakeClock} from './testing/fake-clock.ts';

/** A controller whose runs are logged with their time, and end as `act` says. */
function build(options: Partial<ControllerOptions> = {}, act: (key: string, signal: AbortSignal) => Promise<void> = async () => undefined) {
  const clock = new FakeClock();
  const runs: string[] = [];
  const warnings: unknown[] = [];
  const controller: Controller = createController({
    name: 'test',
    clock,
    random: () => 0,
    logger: {warn: (details: unknown) => void warnings.push(details)},
    reconcile: (key, signal) => {
      runs.push(`${key}@${clock.monotonic()}`);
      return act(key, signal);
    },
    ...options,
  });
  return {clock, runs, warnings, controller};
}

describe('controller', () => {
  it('joins wake-ups of a key, for no longer than coalesceMs', async () => {
    const {clock, runs, controller} = build({coalesceMs: 2});
    controller.start();
    for (let ms = 0; ms < 5; ms++) {
      controller.wake('a');
      controller.wake('a');
      await clock.advance(1);
    }
    await clock.advance(10);
    expect(runs).toEqual(['a@2', 'a@4', 'a@6']);
  });

  it('runs in a microtask when nothing is to be joined', async () => {
    const {runs, controller} = build({coalesceMs: 0});
    controller.start();
    controller.wake('a');
    expect(runs).toEqual([]);
    await controller.idle();
    expect(runs).toEqual(['a@0']);
  });

  it('runs again after a run during which it was woken, never two at once', async () => {
    const gate = Promise.withResolvers<void>();
    const {clock, runs, controller} = build({}, () => gate.promise);
    controller.start();
    controller.wake('a');
    await clock.advance(1);
    controller.wake('a');
    controller.wake('a');
    await clock.advance(50);
    expect(runs).toEqual(['a@1']);
    gate.resolve();
    await clock.advance(10);
    expect(runs).toEqual(['a@1', 'a@52']);
  });

  it('runs at most maxConcurrent keys at once, in the order they were woken', async () => {
    const gates = new Map(['a', 'b', 'c'].map((key) => [key, Promise.withResolvers<void>()]));
    const {clock, runs, controller} = build({maxConcurrent: 2}, (key) => gates.get(key)?.promise ?? Promise.resolve());
    controller.start();
    for (const key of gates.keys()) controller.wake(key);
    await clock.advance(5);
    expect(runs).toEqual(['a@1', 'b@1']);
    expect(controller.stats()).toEqual({due: 1, running: 2, delayed: 0, failing: 0});
    gates.get('b')?.resolve();
    await clock.advance(1);
    expect(runs).toEqual(['a@1', 'b@1', 'c@5']);
    gates.forEach((gate) => gate.resolve());
    await controller.idle();
  });

  it('tries a failed key again with back-off up to its bound, and from the start after a success', async () => {
    let fail = true;
    const {clock, runs, warnings, controller} = build({coalesceMs: 0, backoff: {initialMs: 100, maxMs: 400}}, async () => {
      if (fail) throw new Error('no');
    });
    controller.start();
    controller.wake('a');
    await clock.advance(1500);
    expect(runs).toEqual(['a@0', 'a@100', 'a@300', 'a@700', 'a@1100', 'a@1500']);
    expect(controller.stats().failing).toBe(1);
    expect(warnings[2]).toMatchObject({controller: 'test', key: 'a', failures: 3, retryInMs: 400});
    fail = false;
    await clock.advance(400);
    expect(controller.stats()).toEqual({due: 0, running: 0, delayed: 0, failing: 0});
    fail = true;
    controller.wake('a');
    await clock.advance(100);
    expect(runs.slice(-3)).toEqual(['a@1900', 'a@1900', 'a@2000']);
  });

  it('shortens the back-off at random by at most a quarter', async () => {
    const {clock, runs, controller} = build({coalesceMs: 0, random: () => 0.999}, async () => Promise.reject(new Error('no')));
    controller.start();
    controller.wake('a');
    await clock.advance(76);
    expect(runs).toHaveLength(2);
  });

  it('brings a woken key forward from its back-off, yet does not spin when it wakes itself', async () => {
    const {clock, runs, controller} = build({coalesceMs: 0}, async (key) => {
      controller.wake(key);
      throw new Error('no');
    });
    controller.start();
    controller.wake('a');
    await clock.advance(350);
    expect(runs).toEqual(['a@0', 'a@100', 'a@200', 'a@300']);
  });

  it('does not delay other keys by one that fails', async () => {
    const {clock, runs, controller} = build({coalesceMs: 0, maxConcurrent: 1}, async (key) => {
      if (key === 'bad') throw new Error('no');
    });
    controller.start();
    controller.wake('bad');
    controller.wake('good');
    await clock.advance(1);
    expect(runs).toEqual(['bad@0', 'good@0']);
  });

  it('keeps the earliest later wake; one in the past is now', async () => {
    const {clock, runs, controller} = build({coalesceMs: 0});
    controller.start();
    controller.wakeAt('a', clock.now() + 500);
    controller.wakeAt('a', clock.now() + 200);
    controller.wakeAt('a', clock.now() + 300);
    controller.wakeAt('b', clock.now() - 1);
    await clock.advance(1000);
    expect(runs).toEqual(['b@0', 'a@200']);
  });

  it('remembers wakes before start, and wakes every key at start and at each resync', async () => {
    let listed = 0;
    const keys = (): string[] => {
      if (++listed === 2) throw new Error('the store is away');
      return ['a', 'b'];
    };
    const {clock, runs, warnings, controller} = build({coalesceMs: 0, keys, resyncMs: 1000});
    controller.wake('c');
    await clock.advance(10);
    expect(runs).toEqual([]);
    controller.start();
    await clock.advance(2500);
    expect(runs).toEqual(['c@10', 'a@10', 'b@10', 'a@2010', 'b@2010']);
    expect(warnings).toHaveLength(1);
    await controller.stop();
    await clock.advance(5000);
    expect(listed).toBe(3);
  });

  it('on stop aborts what runs, waits for it, and takes up the rest at the next start', async () => {
    const released = Promise.withResolvers<void>();
    let aborted = false;
    const {clock, runs, warnings, controller} = build({coalesceMs: 0}, async (key, signal) => {
      if (key !== 'long' || runs.length > 1) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      aborted = true;
      await released.promise;
      throw new Error('aborted');
    });
    controller.start();
    controller.wake('long');
    await clock.advance(1);
    controller.wakeAt('later', clock.now() + 60_000);
    let stopped = false;
    const stopping = controller.stop().then(() => (stopped = true));
    await clock.advance(1);
    expect([aborted, stopped]).toEqual([true, false]);
    controller.wake('meanwhile');
    released.resolve();
    await stopping;
    await clock.advance(100);
    expect(runs).toEqual(['long@0']);
    expect(warnings).toEqual([]);
    controller.start();
    await clock.advance(1);
    expect(runs.slice(1).sort()).toEqual(['later@102', 'long@102', 'meanwhile@102']);
  });

  it('does not run a key twice when started while its old run still ends', async () => {
    const gate = Promise.withResolvers<void>();
    const {clock, runs, controller} = build({coalesceMs: 0}, () => gate.promise);
    controller.start();
    controller.wake('a');
    await clock.advance(1);
    controller.wakeAt('a', clock.now() + 60_000);
    void controller.stop();
    controller.start();
    controller.wake('a');
    await clock.advance(5);
    expect(runs).toEqual(['a@0']);
    gate.resolve();
    await clock.advance(5);
    expect(runs).toEqual(['a@0', 'a@6']);
  });

  it('tells its hooks how each run went', async () => {
    const outcomes: string[] = [];
    const hooks = {onRun: ({key, outcome}: {key: string; outcome: string}) => void outcomes.push(`${key} ${outcome}`)};
    const {clock, controller} = build({coalesceMs: 0, hooks}, async (key) => {
      if (key === 'bad') throw new Error('no');
    });
    controller.start();
    controller.wake('good');
    controller.wake('bad');
    await clock.advance(1);
    expect(outcomes).toEqual(['good done', 'bad failed']);
  });
});
