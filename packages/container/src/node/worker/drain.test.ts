import {FakeClock} from '@hivemind/controller/testing';
import {drain, type Rotation} from './drain.ts';

const never = new AbortController().signal;
const gone: Rotation = {left: () => Promise.resolve(undefined)};

describe('a drain', () => {
  it('is over in a moment where nobody is led there, and nobody is connected', async () => {
    const clock = new FakeClock();
    const drained = drain('a', 10_000, {rotation: gone, connections: async () => 0, clock}, never);
    await clock.advance(100);
    expect(await drained).toBeUndefined();
  });

  it('lasts for who was on the way when the last machine led nobody there any more', async () => {
    const clock = new FakeClock();
    let open = 0;
    let over = false;
    const drained = drain('a', 10_000, {rotation: gone, connections: async () => open, clock}, never).finally(() => (over = true));
    await clock.advance(90);
    open = 1;
    await clock.advance(1_000);
    expect(over).toBe(false);
    open = 0;
    await clock.advance(350);
    expect(await drained).toBeUndefined();
  });

  it('lasts until connections are over', async () => {
    const clock = new FakeClock();
    let open = 2;
    let over = false;
    const drained = drain('a', 10_000, {rotation: gone, connections: async () => open, clock}, never).finally(() => (over = true));
    await clock.advance(3_000);
    expect(over).toBe(false);
    open = 0;
    await clock.advance(350);
    expect(await drained).toBeUndefined();
  });

  it('is no longer than it may be, whatever it waits for', async () => {
    const clock = new FakeClock();
    const drained = drain('a', 10_000, {rotation: gone, connections: async () => 2, clock}, never);
    await clock.advance(10_000);
    expect(await drained).toBe('2 connections were still open');
    const slow: Rotation = {left: (_, ms) => new Promise((resolve) => clock.setTimer(() => resolve(undefined), ms - 1_000))};
    const late = drain('a', 10_000, {rotation: slow, connections: async () => 1, clock}, never);
    await clock.advance(10_000);
    expect(await late).toBe('a connection was still open');
    // Connections that are still led there are not waited for: they would never end.
    const stuck: Rotation = {left: (_, ms) => new Promise((resolve) => clock.setTimer(() => resolve('m3'), ms))};
    const vain = drain('a', 5_000, {rotation: stuck, connections: async () => 1, clock}, never);
    await clock.advance(5_000);
    expect(await vain).toBe('waited in vain for m3');
  });

  it('ends when told to', async () => {
    const clock = new FakeClock();
    const ending = new AbortController();
    const drained = drain('a', 10_000, {rotation: gone, connections: async () => 1, clock}, ending.signal);
    await clock.advance(100);
    ending.abort(new Error('over'));
    await expect(drained).rejects.toThrow('over');
    expect(clock.pending).toBe(0);
  });
});
