/** One sequence of log lines from several, each in order of its own. */

/**
 * In order of time; lines of one moment in the order of their sources, never mixed up within one. Holds one line of each
 * source at a time. Text of RFC 3339 in UTC is compared as text.
 */
export async function* mergeByTime<T extends {readonly time: string}>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(iterators.map((iterator) => iterator.next()));
    for (;;) {
      const first = earliest(heads);
      if (first === undefined) return;
      const head = heads[first];
      if (head === undefined || head.done === true) return;
      yield head.value;
      const next = await iterators[first]?.next();
      if (next !== undefined) heads[first] = next;
    }
  } finally {
    await Promise.all(iterators.map((iterator) => iterator.return?.()));
  }
}

function earliest(heads: readonly IteratorResult<{readonly time: string}>[]): number | undefined {
  let best: {index: number; time: string} | undefined;
  for (const [index, head] of heads.entries()) {
    if (head.done === true) continue;
    if (best === undefined || head.value.time < best.time) best = {index, time: head.value.time};
  }
  return best?.index;
}

/** As they come, from all at once. Ends when all have ended. */
export async function* interleave<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const next = async (index: number): Promise<{index: number; result: IteratorResult<T>}> => ({index, result: (await iterators[index]?.next()) ?? {done: true, value: undefined}});
  const pending = new Map(iterators.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const {index, result} = await Promise.race(pending.values());
      if (result.done === true) pending.delete(index);
      else {
        pending.set(index, next(index));
        yield result.value;
      }
    }
  } finally {
    // One that waits for its next line would make this wait too: whoever made the sources ends them.
    for (const iterator of iterators) void iterator.return?.()?.catch(() => undefined);
  }
}
