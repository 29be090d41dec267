/**
 * A datagram: messages, framed. From the outside in: label, encryption, checksum, compression, compound.
 *
 *   [244 length label] [sealed: ] [12 crc32] [9 {Algo, Buf}] [7 count lengths… parts…] type body
 */
import {crc32} from 'node:zlib';
import type {PacketMessage} from '../core/messages.ts';
import {readMessage, TYPE, writeMessage} from './bodies.ts';
import {type DropReason, MAX_FRAMES, MAX_PACKET_BYTES, MAX_PACKET_MESSAGES} from './limits.ts';
import {unpack} from './lzw.ts';
import {Reader, Writer} from './msgpack.ts';
import {type Keys, open, seal} from './seal.ts';

/** What members of one ring must agree on. */
export interface Framing {
  /** Absent: nothing is sealed, and what is sealed cannot be read. */
  readonly keys?: Keys;
  /** Keeps rings apart that share a network; at most 255 bytes. Part of what is authenticated. */
  readonly label?: Buffer;
}

export interface DecodedPacket {
  readonly messages: readonly PacketMessage[];
  /** Why parts of it, or all of it, were not read. One damaged part takes nothing from the others. */
  readonly drops: readonly DropReason[];
}

interface Decoding extends DecodedPacket {
  readonly messages: PacketMessage[];
  readonly drops: DropReason[];
}

/** Scratch, as nothing here waits. */
const body = new Writer(2048);
const packet = new Writer(2048);

/** At most 255 messages. What the result holds is its own. */
export function encodePacket(messages: readonly PacketMessage[], framing: Framing = {}): Buffer {
  const plain = writePlain(messages);
  const [key] = framing.keys ?? [];
  packet.clear();
  if (framing.label) packet.byte(TYPE.label).byte(framing.label.length).plain(framing.label);
  if (key) packet.plain(seal(key, plain, framing.label));
  else if (isProbe(messages)) packet.plain(plain);
  else packet.byte(TYPE.checksum).uint32(crc32(plain)).plain(plain);
  return Buffer.from(packet.done());
}

/** A probe alone goes without a checksum: damaged, it is answered by nobody, and it is most of what a ring at rest sends. */
function isProbe([message, ...more]: readonly PacketMessage[]): boolean {
  return more.length === 0 && (message?.type === 'ping' || message?.type === 'ack' || message?.type === 'nack');
}

function writePlain(messages: readonly PacketMessage[]): Buffer {
  body.clear();
  if (messages.length !== 1) {
    body.byte(TYPE.compound).byte(messages.length);
    // The lengths come first, and are known only afterwards.
    const lengths = body.length;
    for (let n = 0; n < messages.length; n += 1) body.byte(0).byte(0);
    messages.forEach((message, n) => {
      const start = body.length;
      writeMessage(body, message);
      body.uint16At(lengths + 2 * n, body.length - start);
    });
  } else if (messages[0]) {
    writeMessage(body, messages[0]);
  }
  return body.done();
}

export function decodePacket(bytes: Buffer, framing: Framing = {}): DecodedPacket {
  const unlabelled = withoutLabel(bytes, framing.label);
  if (!Buffer.isBuffer(unlabelled)) return {messages: [], drops: [unlabelled]};
  const plain = framing.keys ? open(framing.keys, unlabelled, framing.label) : unlabelled;
  if (!plain) return {messages: [], drops: ['no-key']};
  const into: Decoding = {messages: [], drops: []};
  readFrame(plain, MAX_FRAMES, into);
  return into;
}

/** What follows the label header, or why it cannot be for this ring. */
export function withoutLabel(bytes: Buffer, label: Buffer | undefined): Buffer | 'truncated' | 'label' {
  if (bytes[0] !== TYPE.label) return label ? 'label' : bytes;
  const length = bytes[1];
  if (length === undefined || bytes.length < 2 + length) return 'truncated';
  return label?.equals(bytes.subarray(2, 2 + length)) ? bytes.subarray(2 + length) : 'label';
}

function readFrame(bytes: Buffer, frames: number, into: Decoding): void {
  const type = bytes[0];
  const rest = bytes.subarray(1);
  if (type === undefined) into.drops.push('truncated');
  else if (frames === 0) into.drops.push('too-large');
  else if (type === TYPE.checksum) readChecked(rest, frames, into);
  else if (type === TYPE.compress) readCompressed(rest, frames, into);
  else if (type === TYPE.compound) readCompound(rest, frames, into);
  else if (type === TYPE.user) into.messages.push({type: 'user', payload: Uint8Array.from(rest)});
  else if (type <= TYPE.dead || type === TYPE.nack) readBody(type, rest, into);
  else into.drops.push('unknown-type');
}

function readBody(type: number, bytes: Buffer, into: Decoding): void {
  const reader = new Reader(bytes);
  const message = readMessage(type, reader);
  if (message) into.messages.push(message);
  else into.drops.push(reader.fault ?? 'malformed');
}

function readChecked(bytes: Buffer, frames: number, into: Decoding): void {
  if (bytes.length < 4) into.drops.push('truncated');
  else if (crc32(bytes.subarray(4)) !== bytes.readUInt32BE(0)) into.drops.push('checksum');
  else readFrame(bytes.subarray(4), frames - 1, into);
}

function readCompressed(bytes: Buffer, frames: number, into: Decoding): void {
  const unpacked = readCompress(new Reader(bytes), MAX_PACKET_BYTES, MAX_PACKET_BYTES);
  if ('drop' in unpacked) into.drops.push(unpacked.drop);
  else readFrame(unpacked.bytes, frames - 1, into);
}

/** Reads the body of a compressed frame and unpacks what it holds. */
export function readCompress(reader: Reader, packedLimit: number, limit: number): {readonly bytes: Buffer} | {readonly drop: DropReason} {
  let algorithm = 0;
  let packed: Buffer = Buffer.alloc(0);
  for (let left = reader.map(); left > 0 && reader.fault === undefined; left -= 1) {
    const key = reader.key();
    if (key === 'Algo') algorithm = reader.integer(0xff);
    else if (key === 'Buf') packed = reader.raw(packedLimit);
    else reader.skip();
  }
  if (reader.fault !== undefined) return {drop: reader.fault};
  return algorithm === 0 ? unpack(packed, limit) : {drop: 'unknown-type'};
}

function readCompound(bytes: Buffer, frames: number, into: Decoding): void {
  const count = bytes[0];
  if (count === undefined || bytes.length < 1 + 2 * count) {
    into.drops.push('truncated');
    return;
  }
  let at = 1 + 2 * count;
  for (let n = 0; n < count; n += 1) {
    const length = bytes.readUInt16BE(1 + 2 * n);
    const enough = into.messages.length + into.drops.length >= MAX_PACKET_MESSAGES;
    if (enough || at + length > bytes.length) {
      into.drops.push(enough ? 'too-large' : 'truncated');
      return;
    }
    readFrame(bytes.subarray(at, at + length), frames - 1, into);
    at += length;
  }
}
