/** The head of an answer is sent once; what is refused at once should still become a status. */
import {setTimeout as pause} from 'node:timers/promises';

/** Time to wait for the first piece or a refusal, ms. A stream may be silent for ever: then it has begun well. */
const SOON_MS = 250;

/** The same pieces, after the first came, or none for a while. @throws what the source throws instead of a first piece */
export async function begun<T>(source: AsyncIterable<T>): Promise<AsyncGenerator<T>> {
  const pieces = source[Symbol.asyncIterator]();
  const first = pieces.next();
  const waiting = new AbortController();
  await Promise.race([first, pause(SOON_MS, undefined, {signal: waiting.signal}).catch(() => undefined)]).finally(() => waiting.abort());
  return rest(first, pieces);
}

async function* rest<T>(first: Promise<IteratorResult<T>>, pieces: AsyncIterator<T>): AsyncGenerator<T> {
  for (let result = await first; result.done !== true; result = await pieces.next()) yield result.value;
}
