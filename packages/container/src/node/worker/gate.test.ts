import {Gate} from './gate.ts';

it('lets so many in at a time, of those that wait the lowest rank first, and goes on after one that failed', async () => {
  const gate = new Gate(2);
  const seen: string[] = [];
  const going = new Map<string, PromiseWithResolvers<void>>();
  const passed = ['a1', 'b1', 'c3', 'd2', 'e3', 'f2'].map((name) => gate.pass(() => {
    seen.push(name);
    const done = Promise.withResolvers<void>();
    going.set(name, done);
    return done.promise;
  }, Number(name[1])));
  expect(seen).toEqual(['a1', 'b1']);
  going.get('b1')?.reject(new Error('no'));
  await expect(passed[1]).rejects.toThrow('no');
  expect(seen).toEqual(['a1', 'b1', 'd2']);
  for (const next of ['d2', 'f2', 'c3', 'e3', 'a1']) {
    going.get(next)?.resolve();
    await passed[['a1', 'b1', 'c3', 'd2', 'e3', 'f2'].indexOf(next)];
  }
  expect(seen).toEqual(['a1', 'b1', 'd2', 'f2', 'c3', 'e3']);
});

it('lets nobody who comes while places are freed in before one that waits', async () => {
  const gate = new Gate(2);
  const seen: string[] = [];
  const holders = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const held = holders.map(({promise}) => gate.pass(() => promise));
  const enter = (name: string) => gate.pass(async () => {
    seen.push(name);
    await Promise.resolve();
  });
  const first = enter('first');
  for (const {resolve} of holders) resolve();
  // Comes when both are free, before who waited goes on.
  const second = Promise.resolve().then(() => enter('second'));
  await Promise.all([...held, first, second]);
  expect(seen).toEqual(['first', 'second']);
});

it('lets go of who does not want to wait any more, and keeps no place for it', async () => {
  const gate = new Gate(1);
  const holder = Promise.withResolvers<void>();
  const held = gate.pass(() => holder.promise);
  const over = new AbortController();
  const gone = gate.pass(() => Promise.resolve('gone'), 0, over.signal);
  const stays = gate.pass(() => Promise.resolve('stays'), 0, new AbortController().signal);
  over.abort(new Error('enough'));
  await expect(gone).rejects.toThrow('enough');
  await expect(gate.pass(() => Promise.resolve(), 0, over.signal)).rejects.toThrow('enough');
  holder.resolve();
  await held;
  expect(await stays).toBe('stays');
  expect(await gate.pass(() => Promise.resolve('next'))).toBe('next');
});
