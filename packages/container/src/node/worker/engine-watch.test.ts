import {FakeClock} from '@hivemind/controller/testing';
import {runtimeErrors} from '@hivemind/runtime';
import {pino} from 'pino';
import {createFakeRuntime} from '../../testing/index.ts';
import {EngineWatch} from './engine-watch.ts';

describe('an engine whose connection stands while it answers nothing', () => {
  it('is lost until it lists again', async () => {
    const clock = new FakeClock();
    const runtime = createFakeRuntime({now: () => clock.now()});
    const list = runtime.list.bind(runtime);
    let frozen = false;
    runtime.list = async () => {
      if (frozen) throw runtimeErrors['runtime-unavailable']('It took the call and did not answer.');
      return list();
    };
    const seen: string[] = [];
    const watch = new EngineWatch({runtime, clock, logger: pino({level: 'silent'}), onListing: () => undefined, onList: () => seen.push('list'), onLost: () => seen.push('lost'), onEvent: () => undefined});
    const until = async (last: string): Promise<void> => {
      for (let passed = 0; seen.at(-1) !== last && passed < 120_000; passed += 500) await clock.advance(500);
      expect(seen.at(-1)).toBe(last);
    };
    watch.start();
    await until('list');
    frozen = true;
    await until('lost');
    frozen = false;
    await until('list');
    await watch.stop();
    await runtime.close();
  });
});
