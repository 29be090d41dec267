/**
 * A TCP connection carries one message each way: push-pull, ping and ack, an application's message, or an error in answer.
 *
 *   [244 length label] (10 length sealed | plain), where plain is (9 {Algo, Buf} | type body), and a body has no length of its own.
 *
 * What is sealed authenticates its own 5 bytes of header, and the label. A label stands once, at the start of a connection.
 */
import type {Ack, MemberView, Ping, PushPull, User} from '../core/messages.ts';
import {readMessage, readView, TYPE, writeMessage, writeView} from './bodies.ts';
import {
  type DropReason, MAX_ROWS, MAX_STREAM_BYTES, MAX_UNPACKED_STREAM_BYTES, MAX_USER_MESSAGE_BYTES, MAX_USER_STATE_BYTES,
} from './limits.ts';
import {pack} from './lzw.ts';
import {Reader, Writer} from './msgpack.ts';
import {type Framing, readCompress, withoutLabel} from './packet.ts';
import {open, seal, SEAL_BYTES} from './seal.ts';

/** What the other side did not like. */
export interface StreamError {
  readonly type: 'error';
  readonly message: string;
}

export type StreamMessage = PushPull | Ping | Ack | User | StreamError;

/** Below this, compressing gains nothing worth the work. */
const COMPRESS_FROM = 512;
const LENGTH_AND_TYPE = 5;
const MAX_ERROR_BYTES = 4096;

/** The bytes of a message. `opening`: the first on its connection, which carries the label. */
export function encodeStream(message: StreamMessage, framing: Framing, opening: boolean): Buffer {
  const writer = new Writer(message.type === 'push-pull' ? 256 + 192 * message.members.length : 256);
  writeStreamMessage(writer, message);
  let plain = writer.done();
  if (plain.length >= COMPRESS_FROM) {
    const packed = new Writer(plain.length).byte(TYPE.compress).map(2).key('Algo').integer(0).key('Buf').raw(pack(plain)).done();
    if (packed.length < plain.length) plain = packed;
  }
  const [key] = framing.keys ?? [];
  const label = opening && framing.label ? [Buffer.of(TYPE.label, framing.label.length), framing.label] : [];
  if (!key) return Buffer.concat([...label, plain]);
  const header = Buffer.alloc(LENGTH_AND_TYPE);
  header.writeUInt8(TYPE.encrypt, 0);
  header.writeUInt32BE(SEAL_BYTES + plain.length, 1);
  return Buffer.concat([...label, header, seal(key, plain, authenticated(header, framing))]);
}

function writeStreamMessage(writer: Writer, message: StreamMessage): void {
  if (message.type === 'push-pull') {
    writer.byte(TYPE.pushPull).map(3).key('Nodes').integer(message.members.length);
    writer.key('UserStateLen').integer(message.userState.length).key('Join').boolean(message.join);
    for (const member of message.members) writeView(writer, member);
    writer.plain(message.userState);
  } else if (message.type === 'user') {
    writer.byte(TYPE.user).map(1).key('UserMsgLen').integer(message.payload.length).plain(message.payload);
  } else if (message.type === 'error') {
    writer.byte(TYPE.error).map(1).key('Error').text(message.message);
  } else {
    writeMessage(writer, message);
  }
}

function authenticated(header: Buffer, framing: Framing): Buffer {
  return framing.label ? Buffer.concat([header, framing.label]) : header;
}

export type StreamResult = {readonly message: StreamMessage} | {readonly drop: DropReason};

/** Gathers one message from the pieces in which it arrives. Holds no more bytes than were received, and at most MAX_STREAM_BYTES. */
export class StreamDecoder {
  readonly #framing: Framing;
  #labelled: boolean;
  #held: Buffer = Buffer.alloc(0);
  #length = 0;
  #rows: Rows | undefined;

  /** `opening`: whether these are the first bytes of the connection, which carry the label. */
  constructor(framing: Framing, opening: boolean) {
    this.#framing = framing;
    this.#labelled = opening;
  }

  /** Bytes held for a message that is not whole yet. */
  get held(): number {
    return this.#length;
  }

  /** The message once it is whole, or why there will be none. Undefined: more is needed. What comes after the message is ignored. */
  push(chunk: Buffer): StreamResult | undefined {
    if (this.#length + chunk.length > MAX_STREAM_BYTES) return {drop: 'too-large'};
    this.#gather(chunk);
    if (this.#labelled) {
      const rest = withoutLabel(this.#bytes(), this.#framing.label);
      if (rest === 'truncated') return undefined;
      if (rest === 'label') return {drop: 'label'};
      this.#length = rest.copy(this.#held);
      this.#labelled = false;
    }
    const result = this.#read(this.#bytes());
    return result && 'drop' in result && result.drop === 'truncated' ? undefined : result;
  }

  #bytes(): Buffer {
    return this.#held.subarray(0, this.#length);
  }

  /** Doubling, so that many small pieces are not copied over and over. */
  #gather(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#held.length, 1024));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#length);
    this.#length = needed;
  }

  #read(bytes: Buffer): StreamResult | undefined {
    const type = bytes[0];
    if (type === undefined) return undefined;
    if (!this.#framing.keys) return type === TYPE.encrypt ? {drop: 'no-key'} : this.#readPlain(bytes);
    if (type !== TYPE.encrypt) return {drop: 'no-key'};
    return this.#readSealed(bytes);
  }

  #readSealed(bytes: Buffer): StreamResult | undefined {
    if (bytes.length < LENGTH_AND_TYPE || !this.#framing.keys) return undefined;
    const length = bytes.readUInt32BE(1);
    if (length > MAX_STREAM_BYTES) return {drop: 'too-large'};
    if (bytes.length < LENGTH_AND_TYPE + length) return undefined;
    const header = authenticated(bytes.subarray(0, LENGTH_AND_TYPE), this.#framing);
    const plain = open(this.#framing.keys, bytes.subarray(LENGTH_AND_TYPE, LENGTH_AND_TYPE + length), header);
    return plain ? whole(this.#readPlain(plain)) : {drop: 'no-key'};
  }

  #readPlain(bytes: Buffer): StreamResult {
    if (bytes[0] !== TYPE.compress) return this.#readBody(bytes);
    const unpacked = readCompress(new Reader(bytes, 1), MAX_STREAM_BYTES, MAX_UNPACKED_STREAM_BYTES);
    return 'drop' in unpacked ? unpacked : whole(this.#readBody(unpacked.bytes));
  }

  #readBody(bytes: Buffer): StreamResult {
    const type = bytes[0];
    const reader = new Reader(bytes, 1);
    if (type === TYPE.pushPull) {
      this.#rows ??= new Rows();
      return this.#rows.read(bytes);
    }
    if (type === TYPE.user) return readUser(reader);
    if (type === TYPE.error) return readError(reader);
    if (type !== TYPE.ping && type !== TYPE.ack) return {drop: type === undefined ? 'truncated' : 'unknown-type'};
    const message = readMessage(type, reader);
    return message?.type === 'ping' || message?.type === 'ack' ? {message} : {drop: reader.fault ?? 'malformed'};
  }
}

/** Of bytes that are all there: being cut short is a fault, not a reason to wait. */
function whole(result: StreamResult): StreamResult {
  return 'drop' in result && result.drop === 'truncated' ? {drop: 'malformed'} : result;
}

interface Header {
  readonly nodes: number;
  readonly userState: number;
  readonly join: boolean;
}

/** A push-pull, read row by row, each once however many pieces it arrives in. */
class Rows {
  readonly #members: MemberView[] = [];
  #header: Header | undefined;
  #offset = 1;

  read(bytes: Buffer): StreamResult {
    const header = this.#header ?? this.#readHeader(bytes);
    if (typeof header === 'string') return {drop: header};
    while (this.#members.length < header.nodes) {
      const reader = new Reader(bytes, this.#offset);
      const view = readView(reader);
      if (!view) return {drop: reader.fault ?? 'malformed'};
      this.#members.push(view);
      this.#offset = reader.offset;
    }
    if (bytes.length < this.#offset + header.userState) return {drop: 'truncated'};
    const userState = Uint8Array.from(bytes.subarray(this.#offset, this.#offset + header.userState));
    return {message: {type: 'push-pull', join: header.join, members: this.#members, userState}};
  }

  #readHeader(bytes: Buffer): Header | DropReason {
    const reader = new Reader(bytes, this.#offset);
    let nodes = 0;
    let userState = 0;
    let join = false;
    for (let left = reader.map(); left > 0 && reader.fault === undefined; left -= 1) {
      const key = reader.key();
      if (key === 'Nodes') nodes = reader.integer(Number.MAX_SAFE_INTEGER);
      else if (key === 'UserStateLen') userState = reader.integer(Number.MAX_SAFE_INTEGER);
      else if (key === 'Join') join = reader.boolean();
      else reader.skip();
    }
    if (reader.fault !== undefined) return reader.fault;
    if (nodes > MAX_ROWS || userState > MAX_USER_STATE_BYTES) return 'too-large';
    this.#offset = reader.offset;
    this.#header = {nodes, userState, join};
    return this.#header;
  }
}

function readUser(reader: Reader): StreamResult {
  let length = 0;
  for (let left = reader.map(); left > 0 && reader.fault === undefined; left -= 1) {
    if (reader.key() === 'UserMsgLen') length = reader.integer(Number.MAX_SAFE_INTEGER);
    else reader.skip();
  }
  if (length > MAX_USER_MESSAGE_BYTES) return {drop: 'too-large'};
  const payload = Uint8Array.from(reader.rest(length));
  return reader.fault === undefined ? {message: {type: 'user', payload}} : {drop: reader.fault};
}

function readError(reader: Reader): StreamResult {
  let message = '';
  for (let left = reader.map(); left > 0 && reader.fault === undefined; left -= 1) {
    if (reader.key() === 'Error') message = reader.text(MAX_ERROR_BYTES);
    else reader.skip();
  }
  return reader.fault === undefined ? {message: {type: 'error', message}} : {drop: reader.fault};
}
