import fc from 'fast-check';
import {pack, unpack} from './lzw.ts';

/** Bytes that repeat, so that codes are reused, widened and run out. */
const repetitive = fc.tuple(fc.array(fc.uint8Array({minLength: 1, maxLength: 12}), {minLength: 1, maxLength: 8}), fc.array(fc.nat(), {maxLength: 3000}))
  .map(([words, picks]) => Buffer.concat(picks.map((pick) => words[pick % words.length] ?? Buffer.alloc(0))));

describe('LZW', () => {
  it('unpacks what it packed', () => {
    fc.assert(fc.property(fc.oneof(repetitive, fc.uint8Array({maxLength: 20_000})), (bytes) => {
      const unpacked = unpack(pack(bytes), bytes.length);
      expect('bytes' in unpacked && Buffer.compare(unpacked.bytes, bytes)).toBe(0);
    }), {numRuns: 200});
  });

  it('makes a repetitive view much smaller', () => {
    const rows = Buffer.from(Array.from({length: 100}, (_, n) => `Name node-${n} Addr 10.0.0.${n} Port 7946 Meta Vsn Incarnation State`).join(''));
    expect(pack(rows).length).toBeLessThan(rows.length / 2);
  });

  it('answers and never throws, whatever it is given', () => {
    fc.assert(fc.property(fc.uint8Array({maxLength: 2000}), fc.nat({max: 5000}), (bytes, limit) => {
      const unpacked = unpack(bytes, limit);
      expect('bytes' in unpacked ? unpacked.bytes.length <= limit : ['too-large', 'truncated', 'malformed'].includes(unpacked.drop)).toBe(true);
    }), {numRuns: 2000});
  });

  it('stops at its limit, however much a small packet would unpack to', () => {
    const bomb = pack(Buffer.alloc(4 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(20_000);
    expect(unpack(bomb, 65_536)).toEqual({drop: 'too-large'});
  });

  it('refuses a code that was never made', () => {
    expect(unpack(Buffer.of(0x00, 0xff, 0xff, 0xff), 100)).toEqual({drop: 'malformed'});
  });
});
