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
