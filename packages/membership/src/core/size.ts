/** Bytes of a message in memberlist's encoding, without building it: what fills a packet and what a bench counts. */
import type {Address, MemberClaim, PacketMessage, PushPull} from './messages.ts';

/** A compound packet spends these on each message. */
export const bytesInCompound = 2;
/** Compound header, checksum, and the encryption's version, nonce, tag and padding. */
export const packetOverhead = 2 + 5 + 45;

const encoder = new TextEncoder();
const ascii = /^[\u0020-\u007e]*$/;

export function utf8Length(text: string): number {
  return ascii.test(text) ? text.length : encoder.encode(text).length;
}

function uintBytes(n: number): number {
  if (n < 0x80) return 1;
  if (n < 0x100) return 2;
  return n < 0x10000 ? 3 : 5;
}
/** memberlist's msgpack writes text and bytes alike as "raw": there is no 8-bit length. */
const rawBytes = (length: number): number => length + (length < 32 ? 1 : length < 0x10000 ? 3 : 5);
const textBytes = (text: string): number => rawBytes(utf8Length(text));
/** A key of a map. */
const key = (name: string): number => name.length + 1;

const addressBytes = (address: Address): number => rawBytes(address.host.includes(':') ? 16 : 4) + uintBytes(address.port);
const sourceKeys = key('SourceAddr') + key('SourcePort') + key('SourceNode');

function sourceBytes(source: {readonly name: string; readonly address: Address} | undefined): number {
  return source ? sourceKeys + addressBytes(source.address) + textBytes(source.name) : 0;
}

function claimBytes(claim: MemberClaim): number {
  const keys = key('Incarnation') + key('Node') + key('Addr') + key('Port') + key('Meta') + key('Vsn');
  return keys + uintBytes(claim.incarnation) + textBytes(claim.name) + addressBytes(claim.address) + rawBytes(claim.meta.length) + rawBytes(claim.versions.length);
}

/** One message: its type, its map and its fields. */
export function messageBytes(message: PacketMessage): number {
  switch (message.type) {
    case 'ping':
      return 2 + key('SeqNo') + uintBytes(message.seq) + key('Node') + textBytes(message.target) + sourceBytes(message.source);
    case 'indirect-ping':
      return (
        2 + key('SeqNo') + uintBytes(message.seq) + key('Node') + textBytes(message.target) + key('Target') + key('Port') +
        addressBytes(message.address) + key('Nack') + 1 + sourceBytes(message.source)
      );
    case 'ack':
      return 2 + key('SeqNo') + uintBytes(message.seq) + (message.payload.length > 0 ? key('Payload') + rawBytes(message.payload.length) : 0);
    case 'nack':
      return 2 + key('SeqNo') + uintBytes(message.seq);
    case 'suspect':
    case 'dead':
      return 2 + key('Incarnation') + uintBytes(message.incarnation) + key('Node') + textBytes(message.name) + key('From') + textBytes(message.from);
    case 'alive':
      return 2 + claimBytes(message.claim);
    case 'user':
      return 1 + message.payload.length;
  }
}

/** A datagram without encryption. A probe alone goes without a checksum. */
export function packetBytes(messages: readonly PacketMessage[]): number {
  const [only] = messages;
  if (messages.length === 1 && (only?.type === 'ping' || only?.type === 'ack' || only?.type === 'nack')) return messageBytes(only);
  const sum = messages.reduce((bytes, message) => bytes + messageBytes(message), 0);
  return 5 + sum + (messages.length > 1 ? 2 + bytesInCompound * messages.length : 0);
}

/** One half of a push-pull, without compression or encryption. */
export function pushPullBytes(state: PushPull): number {
  const header = 2 + key('Nodes') + uintBytes(state.members.length) + key('UserStateLen') + uintBytes(state.userState.length) + key('Join') + 1;
  return state.members.reduce((bytes, view) => bytes + 1 + claimBytes(view) + key('State') + 1, header + state.userState.length);
}
