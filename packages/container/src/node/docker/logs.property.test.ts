import fc from 'fast-check';
import {logLines} from './logs.ts';

/** Cut a buffer at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const line = fc.string({unit: 'grapheme', maxLength: 60}).map((text) => text.replace(/[\r\n]/g, ' '));
const message = fc.record({stream: fc.constantFrom('stdout' as const, 'stderr' as const), line, pieces: fc.integer({min: 1, max: 3})});

describe('logLines', () => {
  it('does not depend on where the stream is cut', async () => {
    await fc.assert(fc.asyncProperty(fc.array(message, {maxLength: 20}), fc.array(fc.nat(), {maxLength: 30}), async (messages, places) => {
      const frames = messages.flatMap(({stream, line: text, pieces}, index) => {
        const time = `2026-01-01T00:00:00.${String(index).padStart(9, '0')}Z`;
        const letters = [...`${text}\n`];
        const size = Math.ceil(letters.length / pieces);
        return Array.from({length: Math.ceil(letters.length / size)}, (_, piece) => {
          const body = Buffer.from(`${time} ${letters.slice(piece * size, (piece + 1) * size).join('')}`);
          const header = Buffer.from([stream === 'stdout' ? 1 : 2, 0, 0, 0, 0, 0, 0, 0]);
          header.writeUInt32BE(body.length, 4);
          return Buffer.concat([header, body]);
        });
      });
      const read = [];
      for await (const one of logLines((async function* () {
        yield* await Promise.resolve(cut(Buffer.concat(frames), places));
      })())) read.push({stream: one.stream, line: one.line});
      expect(read).toEqual(messages.map(({stream, line: text}) => ({stream, line: text})));
    }), {numRuns: 200});
  });
});
