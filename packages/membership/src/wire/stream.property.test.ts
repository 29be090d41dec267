import {createSecretKey} from 'node:crypto';
import fc from 'fast-check';
import {TYPE} from './bodies.ts';
import {pack} from './lzw.ts';
import {MAX_STREAM_BYTES} from './limits.ts';
import {Writer} from './msgpack.ts';
import type {Framing} from './packet.ts';
import {encodeStream, StreamDecoder, type StreamMessage, type StreamResult} from './stream.ts';
import {framingChoice, name, pushPull} from './testing.ts';

const framing: fc.Arbitrary<Framing> = framingChoice.map(({keyBytes, label}) => ({
  ...(keyBytes > 0 ? {keys: [createSecretKey(Buffer.alloc(keyBytes, 7))]} : {}),
  ...(label === '' ? {} : {label: Buffer.from(label)}),
}));
const streamMessage: fc.Arbitrary<StreamMessage> = fc.oneof(
  pushPull,
  fc.record({type: fc.constant('ping' as const), seq: fc.nat(), target: name}),
  fc.record({type: fc.constant('ack' as const), seq: fc.nat(), payload: fc.uint8Array({maxLength: 20})}),
  fc.record({type: fc.constant('user' as const), payload: fc.uint8Array({maxLength: 3000})}),
  fc.record({type: fc.constant('error' as const), message: fc.string({maxLength: 100})}),
);
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, one: unknown) => (one instanceof Uint8Array ? [...one] : one)));

/** Feeds bytes in pieces of the given sizes, over and over, until there is a result. */
function feed(decoder: StreamDecoder, bytes: Buffer, sizes: readonly number[]): StreamResult | undefined {
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    const result = decoder.push(bytes.subarray(at, at + size));
    if (result) return result;
    at += size;
  }
  return undefined;
}

describe('a stream', () => {
  const sizes = fc.array(fc.integer({min: 1, max: 700}), {minLength: 1, maxLength: 5});

  it('reads as what was written, in whatever pieces it arrives, and not before its last byte', () => {
    fc.assert(fc.property(streamMessage, framing, sizes, fc.boolean(), (sent, how, pieces, opening) => {
      const bytes = encodeStream(sent, how, opening);
      expect(plain(feed(new StreamDecoder(how, opening), bytes, pieces))).toEqual(plain({message: sent}));
      expect(feed(new StreamDecoder(how, opening), bytes.subarray(0, -1), pieces)).toBeUndefined();
    }));
  });

  it('never throws, for random and for damaged bytes', () => {
    const first = fc.constantFrom(...Object.values(TYPE), 14, 255);
    fc.assert(fc.property(first, fc.uint8Array({maxLength: 1500}), framing, sizes, (type, rest, how, pieces) => {
      const result = feed(new StreamDecoder(how, true), Buffer.from([type, ...rest]), pieces);
      if (how.keys && result) expect(result).toHaveProperty('drop');
    }), {numRuns: 1000});
    fc.assert(fc.property(streamMessage, fc.array(fc.tuple(fc.nat(), fc.nat({max: 255})), {minLength: 1, maxLength: 6}), sizes, (sent, flips, pieces) => {
      const bytes = encodeStream(sent, {}, true);
      for (const [at, value] of flips) bytes[at % bytes.length] = value;
      expect(() => feed(new StreamDecoder({}, true), bytes, pieces)).not.toThrow();
    }), {numRuns: 1000});
  });
});

describe('a hostile stream', () => {
  const one = (bytes: Buffer, how: Framing = {}): StreamResult | undefined => new StreamDecoder(how, true).push(bytes);
  const keys: Framing = {keys: [createSecretKey(Buffer.alloc(16, 7))]};
  const header = (nodes: number, userState: number): Buffer =>
    Buffer.from(new Writer().byte(TYPE.pushPull).map(3).key('Nodes').integer(nodes).key('UserStateLen').integer(userState).key('Join').boolean(false).done());

  it('announces more rows or state than are taken', () => {
    expect(one(header(1_000_000, 0))).toEqual({drop: 'too-large'});
    expect(one(header(0, 0xffff_ffff))).toEqual({drop: 'too-large'});
  });

  it('announces more sealed bytes than are taken', () => {
    expect(one(Buffer.of(TYPE.encrypt, 0xff, 0xff, 0xff, 0xff), keys)).toEqual({drop: 'too-large'});
  });

  it('goes on for ever', () => {
    const decoder = new StreamDecoder({}, true);
    decoder.push(header(60_000, 0));
    const chunk = Buffer.from(new Writer().map(1).key('Name').text('').done());
    expect(feed(decoder, Buffer.concat(Array.from({length: 10}, () => chunk)), [7])).toEqual({drop: 'malformed'});
    const long = new StreamDecoder({}, true);
    long.push(Buffer.from(new Writer().byte(TYPE.compress).map(1).key('Buf').done()));
    long.push(Buffer.of(0xdb, 0x00, 0x7f, 0xff, 0xff));
    expect(long.push(Buffer.alloc(MAX_STREAM_BYTES))).toEqual({drop: 'too-large'});
    expect(long.held).toBeLessThan(100);
  });

  it('unpacks to more than is taken', () => {
    const bomb = new Writer().byte(TYPE.compress).map(2).key('Algo').integer(0).key('Buf').raw(pack(Buffer.alloc(17 * 1024 * 1024))).done();
    expect(one(Buffer.from(bomb))).toEqual({drop: 'too-large'});
  });

  it('comes without the key of the ring, or with another', () => {
    const ping = {type: 'ping', seq: 1, target: 'a'} as const;
    expect(one(encodeStream(ping, {}, true), keys)).toEqual({drop: 'no-key'});
    expect(one(encodeStream(ping, keys, true), {})).toEqual({drop: 'no-key'});
    expect(one(encodeStream(ping, {keys: [createSecretKey(Buffer.alloc(16, 8))]}, true), keys)).toEqual({drop: 'no-key'});
    expect(one(encodeStream(ping, {label: Buffer.from('x')}, true))).toEqual({drop: 'label'});
  });
});
