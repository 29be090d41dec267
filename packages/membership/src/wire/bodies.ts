/** Messages and their bytes: a type byte, then a msgpack map whose keys are the names of Go's fields. */
import type {Ack, Address, Alive, Dead, IndirectPing, LifeState, MemberClaim, MemberView, PacketMessage, Ping, Suspect} from '../core/messages.ts';
import {addressBytes, addressText} from './address.ts';
import {MAX_META_BYTES, MAX_NAME_BYTES, MAX_PACKET_BYTES} from './limits.ts';
import type {Reader, Writer} from './msgpack.ts';

/** memberlist's numbers. Only ever appended to. */
export const TYPE = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  checksum: 12,
  error: 13,
  label: 244,
} as const;

const UINT8 = 0xff;
const UINT16 = 0xffff;
const UINT32 = 0xffff_ffff;
/** As memberlist numbers them in a push-pull. */
const STATES: readonly LifeState[] = ['alive', 'suspect', 'dead', 'left'];
const NO_BYTES = Buffer.alloc(0);
const EMPTY = new Uint8Array(0);

/** Writes a message with its type byte. Throws only for what the caller should not have: an address that is no IP address. */
export function writeMessage(writer: Writer, message: PacketMessage): void {
  switch (message.type) {
    case 'ping':
      writer.byte(TYPE.ping).map(message.source ? 5 : 2).key('SeqNo').integer(message.seq).key('Node').text(message.target);
      writeSource(writer, message.source);
      break;
    case 'indirect-ping':
      writer.byte(TYPE.indirectPing).map(message.source ? 8 : 5).key('SeqNo').integer(message.seq).key('Target').raw(ip(message.address));
      writer.key('Port').integer(message.address.port).key('Node').text(message.target).key('Nack').boolean(message.nack);
      writeSource(writer, message.source);
      break;
    case 'ack':
      // An absent field is an empty one to Go, and acks are half of all packets.
      writer.byte(TYPE.ack).map(message.payload.length > 0 ? 2 : 1).key('SeqNo').integer(message.seq);
      if (message.payload.length > 0) writer.key('Payload').raw(message.payload);
      break;
    case 'nack':
      writer.byte(TYPE.nack).map(1).key('SeqNo').integer(message.seq);
      break;
    case 'suspect':
    case 'dead':
      writer.byte(message.type === 'dead' ? TYPE.dead : TYPE.suspect).map(3).key('Incarnation').integer(message.incarnation);
      writer.key('Node').text(message.name).key('From').text(message.from);
      break;
    case 'alive': {
      const {claim} = message;
      writer.byte(TYPE.alive).map(6).key('Incarnation').integer(claim.incarnation).key('Node').text(claim.name);
      writeClaim(writer, claim);
      break;
    }
    case 'user':
      writer.byte(TYPE.user).plain(message.payload);
      break;
  }
}

/** One row of a push-pull. */
export function writeView(writer: Writer, view: MemberView): void {
  writer.map(7).key('Name').text(view.name).key('Incarnation').integer(view.incarnation).key('State').integer(STATES.indexOf(view.state));
  writeClaim(writer, view);
}

function writeClaim(writer: Writer, claim: MemberClaim): void {
  writer.key('Addr').raw(ip(claim.address)).key('Port').integer(claim.address.port);
  writer.key('Meta').raw(claim.meta).key('Vsn').raw(Uint8Array.from(claim.versions));
}

function writeSource(writer: Writer, source: Ping['source']): void {
  if (!source) return;
  writer.key('SourceAddr').raw(ip(source.address)).key('SourcePort').integer(source.address.port).key('SourceNode').text(source.name);
}

function ip(address: Address): Buffer {
  const bytes = addressBytes(address.host);
  if (!bytes) throw new Error(`the address ${address.host} cannot be sent: it is not an IP address`);
  return bytes;
}

/** Every field that any body has, with what an absent one is in Go. A body is read into it and then judged by its type. */
interface Fields {
  seq: number;
  incarnation: number;
  name: string;
  from: string;
  address: Buffer;
  port: number;
  meta: Buffer;
  versions: Buffer;
  state: number;
  nack: boolean;
  payload: Buffer;
  sourceAddress: Buffer;
  sourcePort: number;
  sourceName: string;
}

function readFields(reader: Reader): Fields {
  const fields: Fields = {
    seq: 0, incarnation: 0, name: '', from: '', address: NO_BYTES, port: 0, meta: NO_BYTES, versions: NO_BYTES, state: 0, nack: false,
    payload: NO_BYTES, sourceAddress: NO_BYTES, sourcePort: 0, sourceName: '',
  };
  for (let left = reader.map(); left > 0 && reader.fault === undefined; left -= 1) readField(reader, fields);
  return fields;
}

function readField(reader: Reader, fields: Fields): void {
  switch (reader.key()) {
    case 'SeqNo': fields.seq = reader.integer(UINT32); break;
    case 'Incarnation': fields.incarnation = reader.integer(UINT32); break;
    case 'Node':
    case 'Name': fields.name = reader.text(MAX_NAME_BYTES); break;
    case 'From': fields.from = reader.text(MAX_NAME_BYTES); break;
    case 'Addr':
    case 'Target': fields.address = reader.raw(16); break;
    case 'Port': fields.port = reader.integer(UINT16); break;
    case 'Meta': fields.meta = reader.raw(MAX_META_BYTES); break;
    case 'Vsn': fields.versions = reader.raw(16); break;
    case 'State': fields.state = reader.integer(UINT8); break;
    case 'Nack': fields.nack = reader.boolean(); break;
    case 'Payload': fields.payload = reader.raw(MAX_PACKET_BYTES); break;
    case 'SourceAddr': fields.sourceAddress = reader.raw(16); break;
    case 'SourcePort': fields.sourcePort = reader.integer(UINT16); break;
    case 'SourceNode': fields.sourceName = reader.text(MAX_NAME_BYTES); break;
    default: reader.skip();
  }
}

/** Reads the body of a message of this type, all but `user`. Undefined, with the reader's fault set: it is not one. */
export function readMessage(type: number, reader: Reader): PacketMessage | undefined {
  const fields = readFields(reader);
  if (reader.fault !== undefined) return undefined;
  const message = toMessage(type, fields);
  if (!message) reader.refuse();
  return message;
}

function toMessage(type: number, fields: Fields): PacketMessage | undefined {
  switch (type) {
    case TYPE.ping:
      return {type: 'ping', seq: fields.seq, target: fields.name, ...source(fields)} satisfies Ping;
    case TYPE.indirectPing: {
      const address = toAddress(fields.address, fields.port);
      return address && ({type: 'indirect-ping', seq: fields.seq, target: fields.name, address, nack: fields.nack, ...source(fields)} satisfies IndirectPing);
    }
    case TYPE.ack:
      return {type: 'ack', seq: fields.seq, payload: copy(fields.payload)} satisfies Ack;
    case TYPE.nack:
      return {type: 'nack', seq: fields.seq};
    case TYPE.suspect:
    case TYPE.dead:
      if (fields.name === '' || fields.from === '') return undefined;
      return {type: type === TYPE.dead ? 'dead' : 'suspect', incarnation: fields.incarnation, name: fields.name, from: fields.from} satisfies Suspect | Dead;
    case TYPE.alive: {
      const claim = toClaim(fields);
      return claim && ({type: 'alive', claim} satisfies Alive);
    }
    default:
      return undefined;
  }
}

/** Reads a row of a push-pull. Undefined, with the reader's fault set: it is not one. */
export function readView(reader: Reader): MemberView | undefined {
  const fields = readFields(reader);
  if (reader.fault !== undefined) return undefined;
  const claim = toClaim(fields);
  const state = STATES[fields.state];
  if (claim && state) return {...claim, state};
  reader.refuse();
  return undefined;
}

function toClaim(fields: Fields): MemberClaim | undefined {
  const address = toAddress(fields.address, fields.port);
  if (!address || fields.name === '') return undefined;
  return {name: fields.name, address, incarnation: fields.incarnation, meta: copy(fields.meta), versions: [...fields.versions]};
}

function source(fields: Fields): Pick<Ping, 'source'> {
  const address = toAddress(fields.sourceAddress, fields.sourcePort);
  return address ? {source: {name: fields.sourceName, address}} : {};
}

function toAddress(bytes: Buffer, port: number): Address | undefined {
  const host = addressText(bytes);
  return host === undefined || port === 0 ? undefined : {host, port};
}

/** What is kept must not keep the whole datagram with it. */
function copy(bytes: Buffer): Uint8Array {
  return bytes.length === 0 ? EMPTY : Uint8Array.from(bytes);
}
