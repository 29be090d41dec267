import {decode as libraryDecode, encode as libraryEncode} from '@msgpack/msgpack';
import fc from 'fast-check';
import {Reader, Writer} from './msgpack.ts';

const ascii = fc.string({unit: 'grapheme-ascii', minLength: 1, maxLength: 31});

describe('the msgpack of the wire, beside @msgpack/msgpack', () => {
  it('writes what the library reads', () => {
    fc.assert(
      fc.property(ascii, fc.nat({max: 0xffff_ffff}), fc.boolean(), fc.string({maxLength: 400}), (key, number, flag, text) => {
        const bytes = new Writer(1).map(3).key(`${key}1`.slice(-31)).integer(number).key('flag').boolean(flag).key('text').text(text).done();
        expect(libraryDecode(bytes)).toEqual({[`${key}1`.slice(-31)]: number, flag, text});
      }),
    );
  });

  it('reads what the library writes, integers of every width and both forms of bytes', () => {
    fc.assert(
      fc.property(fc.nat({max: Number.MAX_SAFE_INTEGER}), fc.string({maxLength: 300}), fc.uint8Array({maxLength: 70_000}), (number, text, blob) => {
        const reader = new Reader(Buffer.from(libraryEncode({number, text, blob})));
        expect(reader.map()).toBe(3);
        expect([reader.key(), reader.integer(Number.MAX_SAFE_INTEGER)]).toEqual(['number', number]);
        expect([reader.key(), reader.text(2000)]).toEqual(['text', text]);
        expect([reader.key(), Buffer.compare(reader.raw(70_000), blob)]).toEqual(['blob', 0]);
        expect(reader.fault).toBeUndefined();
      }),
    );
  });

  it('passes over values of unknown fields, nested ones too, and lands where they end', () => {
    const value = fc.letrec<{any: unknown}>((tie) => ({
      any: fc.oneof({maxDepth: 3}, fc.double(), fc.integer(), fc.string(), fc.boolean(), fc.constant(null), fc.uint8Array(), fc.array(tie('any'), {maxLength: 4}),
        fc.dictionary(fc.string(), tie('any'), {maxKeys: 4})),
    })).any;
    fc.assert(
      fc.property(value, (unknown) => {
        const bytes = Buffer.from(libraryEncode(unknown));
        const reader = new Reader(Buffer.concat([bytes, Buffer.of(0xff)]));
        reader.skip();
        expect({offset: reader.offset, fault: reader.fault}).toEqual({offset: bytes.length, fault: undefined});
      }),
    );
  });

  it.each([
    ['an integer above its bound', [0xcd, 0x01, 0x00], (reader: Reader) => reader.integer(255)],
    ['an integer below zero', [0xd0, 0xff], (reader: Reader) => reader.integer(255)],
    ['a text over its bound', [0xa3, 0x61, 0x61, 0x61], (reader: Reader) => reader.text(2)],
    ['a text that is no UTF-8', [0xa1, 0xff], (reader: Reader) => reader.text(2)],
    ['a map of more than any message has', [0xde, 0xff, 0xff], (reader: Reader) => reader.map()],
    ['a map where an integer stands', [0x05], (reader: Reader) => reader.map()],
    ['a number where a boolean should', [0x01], (reader: Reader) => reader.boolean()],
    ['values nested without end', Array.from({length: 40}, () => 0x91), (reader: Reader) => reader.skip()],
  ])('refuses %s', (_, bytes, read) => {
    const reader = new Reader(Buffer.from(bytes));
    read(reader);
    expect(reader.fault).toBe('malformed');
  });
});
