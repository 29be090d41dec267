import fc from 'fast-check';
import {interleave, mergeByTime} from './merge-lines.ts';

async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function all<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of lines) items.push(item);
  return items;
}

const sources = fc.array(fc.array(fc.integer({min: 100, max: 120}).map(String), {maxLength: 8}).map((times) => times.toSorted()), {maxLength: 4}).map((logs) => logs.map((times, source) => times.map((time, index) => ({time, source, index}))));

it('merges any logs in order of time, each in its own order, without a line more or less', async () => {
  await fc.assert(
    fc.asyncProperty(sources, async (logs) => {
      const merged = await all(mergeByTime(logs.map(from)));
      expect(merged).toEqual(logs.flat().toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.source - b.source || a.index - b.index)));
    }),
  );
});

it('reads no further than it is read', async () => {
  let taken = 0;
  async function* endless() {
    for (;;) yield {time: String((taken += 1)).padStart(9, '0')};
  }
  const merged = mergeByTime([endless()]);
  await merged.next();
  await merged.return(undefined);
  expect(taken).toBeLessThanOrEqual(2);
});

it('gives lines of all as they come, and ends with the last', async () => {
  expect((await all(interleave([from([1, 2]), from([3])]))).toSorted()).toEqual([1, 2, 3]);
});
