/** What memberlist in Go really sent, captured by `test/interop/vectors.ts`. */
import {createSecretKey} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {decode as libraryDecode} from '@msgpack/msgpack';
import * as z from 'zod';
import {decodePacket, encodePacket, type Framing, StreamDecoder} from './index.ts';

const Vector = z.object({ring: z.enum(['plain', 'compressed', 'sealed']), kind: z.enum(['packet', 'stream']), hex: z.string(), reads: z.array(z.looseObject({type: z.string()}))});
type Vector = z.infer<typeof Vector>;
const {key, vectors} = z.object({key: z.string(), vectors: z.array(Vector)}).parse(JSON.parse(readFileSync(join(import.meta.dirname, 'vectors.json'), 'utf8')));
const sealed: Framing = {keys: [createSecretKey(Buffer.from(key, 'base64'))]};

function read({ring, kind, hex}: Vector): unknown[] {
  const bytes = Buffer.from(hex, 'hex');
  const framing = ring === 'sealed' ? sealed : {};
  if (kind === 'stream') {
    const result = new StreamDecoder(framing, true).push(bytes);
    return result && 'message' in result ? [result.message] : [result];
  }
  const {messages, drops} = decodePacket(bytes, framing);
  return [...messages, ...drops];
}

/** Byte strings as the file has them. */
const asText = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, one: unknown) => (one instanceof Uint8Array ? Buffer.from(one).toString('latin1') : one)));

describe('what memberlist sent', () => {
  it.each(vectors.map((vector) => [`${vector.ring} ${vector.kind}: ${vector.reads.map(({type}) => type).join(', ')}`, vector] as const))('reads: %s', (_, vector) => {
    expect(asText(read(vector))).toEqual(vector.reads);
  });

  it('covers every kind of message, under every framing', () => {
    const kinds = (ring: string): string[] => [...new Set(vectors.filter((vector) => vector.ring === ring).flatMap(({reads}) => reads.map(({type}) => type)))].sort();
    const all = ['ack', 'alive', 'dead', 'indirect-ping', 'nack', 'ping', 'push-pull', 'suspect', 'user'];
    expect({plain: kinds('plain'), compressed: kinds('compressed'), sealed: kinds('sealed')}).toEqual({plain: all, compressed: all, sealed: all});
  });

  it.each(['plain', 'compressed', 'sealed'])('tells of the members as they were started (%s)', (ring) => {
    const claims = vectors.filter((vector) => vector.ring === ring).flatMap((vector) => vector.reads).filter(({type}) => type === 'alive').map(({claim}) => claim);
    expect(claims).toContainEqual({name: 'go-b', address: {host: '127.0.0.1', port: expect.any(Number)}, incarnation: 1, meta: 'of b', versions: [1, 5, 5, 0, 0, 0]});
  });

  it('has the fields that a general msgpack library finds', () => {
    const ping = vectors.find(({ring, reads}) => ring === 'plain' && reads.length === 1 && reads[0]?.type === 'ping');
    const [message] = ping?.reads ?? [];
    const fields = z.object({SeqNo: z.number(), Node: z.string(), SourceNode: z.string(), SourcePort: z.number()}).parse(libraryDecode(Buffer.from(ping?.hex ?? '', 'hex').subarray(1)));
    expect(message).toEqual({
      type: 'ping', seq: fields.SeqNo, target: fields.Node, source: {name: fields.SourceNode, address: {host: '127.0.0.1', port: fields.SourcePort}},
    });
  });

  it('changes nothing without the key', () => {
    for (const vector of vectors.filter(({ring, kind}) => ring === 'sealed' && kind === 'packet')) {
      expect(decodePacket(Buffer.from(vector.hex, 'hex'), {keys: [createSecretKey(Buffer.alloc(16))]})).toEqual({messages: [], drops: ['no-key']});
      expect(decodePacket(Buffer.from(vector.hex, 'hex')).messages.filter(({type}) => type === 'alive' || type === 'dead' || type === 'suspect')).toEqual([]);
    }
  });

  it('is answered in a form that needs no more bytes than Go takes', () => {
    for (const vector of vectors.filter(({ring, kind}) => ring === 'plain' && kind === 'packet')) {
      const bytes = Buffer.from(vector.hex, 'hex');
      expect(encodePacket(decodePacket(bytes).messages).length).toBeLessThanOrEqual(bytes.length + 5);
    }
  });
});
