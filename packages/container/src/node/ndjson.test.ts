import {setImmediate as nextTurn} from 'node:timers/promises';
import {jsonPieces} from './ndjson.ts';

async function collect(values: AsyncIterable<unknown>): Promise<string[]> {
  const pieces = [];
  for await (const piece of jsonPieces(values)) pieces.push(Buffer.from(piece).toString());
  return pieces;
}

describe('jsonPieces', () => {
  it('gathers what comes at once, up to a size', async () => {
    const pieces = await collect((async function* () {
      for (let n = 0; n < 20_000; n++) yield await Promise.resolve({n});
    })());
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.length).toBeLessThan(100);
    for (const piece of pieces) expect(piece.length).toBeLessThan(40_000);
    expect(pieces.join('').split('\n')).toHaveLength(20_001);
  });

  it('does not hold back what came while it waits for more', async () => {
    const more = Promise.withResolvers<void>();
    const pieces = jsonPieces((async function* () {
      yield 1;
      await more.promise;
      yield 2;
    })());
    expect(Buffer.from((await pieces.next()).value).toString()).toBe('1\n');
    const next = pieces.next();
    more.resolve();
    expect(Buffer.from((await next).value).toString()).toBe('2\n');
    expect(await pieces.next()).toMatchObject({done: true});
  });

  it('gives what came before a failure, and then the failure', async () => {
    const pieces = jsonPieces((async function* () {
      yield await Promise.resolve('last words');
      throw new Error('broken');
    })());
    expect(Buffer.from((await pieces.next()).value).toString()).toBe('"last words"\n');
    await expect(pieces.next()).rejects.toThrow('broken');
  });

  it('lets the source go when nobody reads any more', async () => {
    let left = false;
    const pieces = jsonPieces((async function* () {
      try {
        for (;;) {
          await nextTurn();
          yield 1;
        }
      } finally {
        left = true;
      }
    })());
    await pieces.next();
    await pieces.return(undefined);
    await nextTurn();
    await nextTurn();
    expect(left).toBe(true);
  });
});
