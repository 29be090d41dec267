/** Values as lines of JSON, gathered into pieces: a busy source costs a write for many lines, an idle one does not wait. */
import {setImmediate as nextTurn} from 'node:timers/promises';

const PIECE_BYTES = 32 * 1024;

/** Pieces of at most a little over 32 KiB. What comes within one turn of the event loop goes out together. */
export async function* jsonPieces(values: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  const source = values[Symbol.asyncIterator]();
  let piece = '';
  let next = source.next();
  try {
    while (true) {
      const idle = Symbol('idle');
      const result = piece === '' ? await next : await Promise.race([next, nextTurn(idle)]);
      if (result === idle || piece.length >= PIECE_BYTES) {
        yield Buffer.from(piece);
        piece = '';
      } else if (typeof result === 'object') {
        if (result.done) break;
        piece += `${JSON.stringify(result.value)}\n`;
        next = source.next();
      }
    }
  } catch (error) {
    if (piece !== '') yield Buffer.from(piece);
    throw error;
  } finally {
    next.catch(() => undefined);
    void source.return?.(undefined).catch(() => undefined);
  }
  if (piece !== '') yield Buffer.from(piece);
}
