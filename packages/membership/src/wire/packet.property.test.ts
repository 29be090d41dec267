import {createSecretKey} from 'node:crypto';
import fc from 'fast-check';
import {bytesInCompound, messageBytes, packetOverhead} from '../core/size.ts';
import {TYPE} from './bodies.ts';
import {pack} from './lzw.ts';
import {Writer} from './msgpack.ts';
import {decodePacket, encodePacket, type Framing} from './packet.ts';
import {framingChoice, message} from './testing.ts';

const messages = fc.array(message, {minLength: 1, maxLength: 12});
const framingOf = ({keyBytes, label}: {readonly keyBytes: number; readonly label: string}): Framing => ({
  ...(keyBytes > 0 ? {keys: [createSecretKey(Buffer.alloc(keyBytes, 7))]} : {}),
  ...(label === '' ? {} : {label: Buffer.from(label)}),
});
const framing = framingChoice.map(framingOf);
const key = (fill: number): Framing => framingOf({keyBytes: 16, label: ''}).keys ? {keys: [createSecretKey(Buffer.alloc(16, fill))]} : {};
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, one: unknown) => (one instanceof Uint8Array ? [...one] : one)));

function compressed(bytes: Uint8Array): Buffer {
  return Buffer.from(new Writer().byte(TYPE.compress).map(2).key('Algo').integer(0).key('Buf').raw(pack(bytes)).done());
}

describe('a datagram', () => {
  it('reads as what was written, under every framing, within the size that the core counts with', () => {
    fc.assert(fc.property(messages, framing, (sent, how) => {
      const bytes = encodePacket(sent, how);
      const {messages: read, drops} = decodePacket(bytes, how);
      expect(plain({read, drops})).toEqual(plain({read: sent, drops: []}));
      const size = sent.reduce((sum, one) => sum + bytesInCompound + messageBytes(one), packetOverhead);
      expect(bytes.length - (how.label ? 2 + how.label.length : 0)).toBeLessThanOrEqual(size);
    }));
  });

  it('never throws and says why, for random bytes', () => {
    const first = fc.constantFrom(...Object.values(TYPE), 14, 255);
    fc.assert(fc.property(first, fc.uint8Array({maxLength: 1500}), framing, (type, rest, how) => {
      const {drops} = decodePacket(Buffer.from([type, ...rest]), how);
      // Without a key, random bytes may be something: an application's message, or a ping of which every field is absent.
      if (how.keys) expect(drops).toEqual([expect.stringMatching(/^(no-key|label|truncated)$/)]);
    }), {numRuns: 2000});
  });

  it('cut short, loses only what is missing', () => {
    fc.assert(fc.property(messages, fc.nat(), (sent, at) => {
      const bytes = encodePacket(sent);
      const cut = bytes.subarray(0, at % bytes.length);
      const {messages: read, drops} = decodePacket(Buffer.from(cut));
      if (bytes[0] === TYPE.checksum) expect({read: read.length, why: drops.length}).toEqual({read: 0, why: 1});
      else expect(drops.length).toBeGreaterThan(0);
    }));
  });

  it('damaged anywhere, is refused whole when it is sealed or checked', () => {
    fc.assert(fc.property(messages, framingChoice.filter(({keyBytes}) => keyBytes > 0).map(framingOf), fc.nat(), fc.integer({min: 1, max: 255}), (sent, how, at, flip) => {
      const bytes = encodePacket(sent, how);
      const where = at % bytes.length;
      bytes[where] = (bytes[where] ?? 0) ^ flip;
      expect(decodePacket(bytes, how).messages).toEqual([]);
    }));
  });

  it('damaged without a key, answers and never throws', () => {
    fc.assert(fc.property(messages, fc.array(fc.tuple(fc.nat(), fc.nat({max: 255})), {minLength: 1, maxLength: 6}), (sent, flips) => {
      const bytes = encodePacket(sent).subarray(5);
      for (const [at, value] of flips) bytes[at % Math.max(1, bytes.length)] = value;
      expect(() => decodePacket(Buffer.from(bytes))).not.toThrow();
    }), {numRuns: 1000});
  });
});

describe('the framings', () => {
  const suspect = {type: 'suspect', incarnation: 4, name: 'b', from: 'a'} as const;

  it('open with any key of the ring, and with no other', () => {
    const sealed = encodePacket([suspect], key(1));
    const [one] = key(1).keys ?? [];
    const [two] = key(2).keys ?? [];
    expect(decodePacket(sealed, one && two ? {keys: [two, one]} : {}).messages).toEqual([suspect]);
    expect(decodePacket(sealed, key(2))).toEqual({messages: [], drops: ['no-key']});
    expect(decodePacket(encodePacket([suspect]), key(1))).toEqual({messages: [], drops: ['no-key']});
  });

  it('keep rings of different labels apart, and authenticate the label', () => {
    const blue = {...key(1), label: Buffer.from('blue')};
    expect(decodePacket(encodePacket([suspect], key(1)), blue).drops).toEqual(['label']);
    expect(decodePacket(encodePacket([suspect], blue), key(1)).drops).toEqual(['label']);
    const relabelled = encodePacket([suspect], blue);
    relabelled.write('pink', 2);
    expect(decodePacket(relabelled, {...key(1), label: Buffer.from('pink')}).drops).toEqual(['no-key']);
  });

  it('notice a damaged checksum', () => {
    const bytes = encodePacket([suspect]);
    bytes[4] = (bytes[4] ?? 0) ^ 1;
    expect(decodePacket(bytes)).toEqual({messages: [], drops: ['checksum']});
  });

  it('nest only so deep', () => {
    const inside = encodePacket([suspect]);
    expect(decodePacket(compressed(inside)).messages).toEqual([suspect]);
    expect(decodePacket(compressed(compressed(compressed(compressed(inside))))).drops).toEqual(['too-large']);
  });

  it('unpack no more than a datagram could hold', () => {
    expect(decodePacket(compressed(Buffer.alloc(1024 * 1024, TYPE.user))).drops).toEqual(['too-large']);
  });

  it('hold only so many messages, however they are nested', () => {
    const inner = Buffer.concat([Buffer.of(TYPE.compound, 255), Buffer.alloc(255 * 2).fill(Buffer.of(0, 1)), Buffer.alloc(255, TYPE.user)]);
    const lengths = Buffer.alloc(2 * 20);
    for (let n = 0; n < 20; n += 1) lengths.writeUInt16BE(inner.length, 2 * n);
    const outer = Buffer.concat([Buffer.of(TYPE.compound, 20), lengths, ...Array.from({length: 20}, () => inner)]);
    const {messages: read, drops} = decodePacket(outer);
    expect(read.length).toBeLessThanOrEqual(512);
    expect(drops).toContain('too-large');
  });

  it('keep the rest of a compound whose one part is not known', () => {
    const ping = {type: 'ping', seq: 1, target: 'a'} as const;
    const parts = [ping, suspect].map((one) => encodePacket([one])).map((bytes) => (bytes[0] === TYPE.checksum ? bytes.subarray(5) : bytes));
    const [first = Buffer.alloc(0), last = Buffer.alloc(0)] = parts;
    const bytes = Buffer.concat([Buffer.of(TYPE.compound, 3, 0, first.length, 0, 1, 0, last.length), first, Buffer.of(99), last]);
    expect(decodePacket(bytes)).toEqual({messages: [ping, suspect], drops: ['unknown-type']});
  });
});
