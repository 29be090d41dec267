/**
 * The wire format of names (RFC 1035, EDNS of RFC 6891), as much as answering takes. A test holds it to a general library.
 * Pure, and quick: one question is read without making an object.
 */

export const TYPE = {A: 1, NS: 2, SOA: 6, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255} as const;
export const RCODE = {NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16} as const;
export const CLASS_IN = 1;
export const HEADER_BYTES = 12;
export const OPT_BYTES = 11;
/** Most bytes of a datagram without EDNS, and of one that is not cut to pieces on its way. */
export const PLAIN_UDP = 512;
export const SAFE_UDP = 1232;

/** What `QueryReader.read` answers when nothing may be: it is too short to be answered, or an answer itself. */
export const DROP = -1;
const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;

/** Reads one packet after the other; its fields are of the last one. */
export class QueryReader {
  id = 0;
  /** Second and third byte of the header after the id. */
  flags = 0;
  /** Where the question ends; 0: none could be read, so none is repeated. */
  questionEnd = 0;
  type = 0;
  class = 0;
  /** Name and type as they stand in the packet, in lower case: what answers are found by. */
  key = '';
  edns = false;
  ednsVersion = 0;
  /** DNSSEC records are wanted. */
  dnssec = false;
  /** Most bytes of a datagram that the asker takes. */
  udpSize: number = PLAIN_UDP;

  get recursionDesired(): boolean {
    return (this.flags & 0x0100) !== 0;
  }

  get checkingDisabled(): boolean {
    return (this.flags & 0x0010) !== 0;
  }

  /** 0, the code of an error to answer, or `DROP`. */
  read(packet: Buffer): number {
    const {length} = packet;
    this.questionEnd = 0;
    this.edns = false;
    this.ednsVersion = 0;
    this.dnssec = false;
    this.udpSize = PLAIN_UDP;
    if (length < HEADER_BYTES) return DROP;
    this.id = u16(packet, 0);
    this.flags = u16(packet, 2);
    if ((this.flags & 0x8000) !== 0) return DROP;
    if ((this.flags & 0x7800) !== 0) return RCODE.NOTIMP;
    if (u16(packet, 4) !== 1) return RCODE.FORMERR;
    let at = HEADER_BYTES;
    let upper = false;
    for (let size = packet[at] ?? 0; size !== 0; size = packet[at] ?? 0) {
      const next = at + 1 + size;
      if (size > LONGEST_LABEL || next >= length || next - HEADER_BYTES >= LONGEST_NAME) return RCODE.FORMERR;
      for (at += 1; at < next; at++) {
        const byte = packet[at] ?? 0;
        if (byte >= 0x41 && byte <= 0x5a) upper = true;
      }
    }
    const end = at + 5;
    if (end > length) return RCODE.FORMERR;
    this.type = u16(packet, at + 1);
    this.class = u16(packet, at + 3);
    this.key = packet.toString('latin1', HEADER_BYTES, at + 3);
    // The type is beside the name, and may look like a letter.
    if (upper) this.key = this.key.slice(0, -2).replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) + this.key.slice(-2);
    this.questionEnd = end;
    return length === end && u16(packet, 6) + u16(packet, 8) + u16(packet, 10) === 0 ? 0 : this.#readRest(packet, end);
  }

  /** What stands behind the question, of which EDNS alone counts. */
  #readRest(packet: Buffer, start: number): number {
    const before = u16(packet, 6) + u16(packet, 8);
    const total = before + u16(packet, 10);
    let at = start;
    for (let index = 0; index < total; index++) {
      const name = at;
      at = skipName(packet, at);
      if (at < 0 || at + 10 > packet.length) return RCODE.FORMERR;
      const type = u16(packet, at);
      const next = at + 10 + u16(packet, at + 8);
      if (next > packet.length) return RCODE.FORMERR;
      if (type === TYPE.OPT && index >= before) {
        if (this.edns || packet[name] !== 0) return RCODE.FORMERR;
        this.edns = true;
        this.udpSize = Math.max(PLAIN_UDP, u16(packet, at + 2));
        this.ednsVersion = packet[at + 5] ?? 0;
        this.dnssec = ((packet[at + 6] ?? 0) & 0x80) !== 0;
      }
      at = next;
    }
    return 0;
  }
}

export function u16(packet: Buffer, at: number): number {
  return ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
}

/** Where the name at `at` ends; -1: it does not. Pointers are not followed. */
export function skipName(packet: Buffer, at: number): number {
  for (let here = at; here < packet.length; ) {
    const size = packet[here] ?? 0;
    if (size === 0) return here + 1;
    if (size >= 0xc0) return here + 2 <= packet.length ? here + 2 : -1;
    if (size > LONGEST_LABEL) return -1;
    here += size + 1;
  }
  return -1;
}

/** The dotted name of a `QueryReader.key`; undefined where a label has a dot in it, which no name of ours has. */
export function nameOfKey(key: string): string | undefined {
  const labels: string[] = [];
  for (let at = 0, size = key.charCodeAt(0); size > 0; at += size + 1, size = key.charCodeAt(at)) {
    const label = key.slice(at + 1, at + 1 + size);
    if (label.includes('.')) return undefined;
    labels.push(label);
  }
  return labels.join('.');
}

/** On the wire, uncompressed. Labels are at most 63 bytes, as all names of resources. */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  return Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]), Buffer.from([0])]);
}

/** Whether it can be written: no label and no name is too long. */
export function fitsWire(name: string): boolean {
  return name.length <= LONGEST_NAME - 2 && name.split('.').every((label) => label.length >= 1 && label.length <= LONGEST_LABEL);
}

/** Points to the name of the question, right behind the header. */
export const QUESTION_POINTER = Buffer.from([0xc0, HEADER_BYTES]);

/** One record. `name`: encoded, or a pointer. */
export function record(name: Uint8Array, type: number, ttl: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(CLASS_IN, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, head, data]);
}

/** Writes an empty EDNS record that says how much we take. @returns where it ends */
export function writeOpt(out: Buffer, at: number, extendedRcode: number, dnssec: boolean): number {
  out[at] = 0;
  out.writeUInt16BE(TYPE.OPT, at + 1);
  out.writeUInt16BE(SAFE_UDP, at + 3);
  out[at + 5] = extendedRcode;
  out[at + 6] = 0;
  out[at + 7] = dnssec ? 0x80 : 0;
  out[at + 8] = 0;
  out[at + 9] = 0;
  out[at + 10] = 0;
  return at + OPT_BYTES;
}

/** An IPv4 or IPv6 address as the data of A or AAAA; undefined where it is neither. */
export function addressData(address: string): {readonly type: 1 | 28; readonly data: Buffer} | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return {type: TYPE.A, data: Buffer.from(address.split('.').map(Number))};
  const groups = ipv6Groups(address);
  if (!groups) return undefined;
  const data = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) data.writeUInt16BE(group, index * 2);
  return {type: TYPE.AAAA, data};
}

function ipv6Groups(address: string): readonly number[] | undefined {
  if (!/^[0-9a-fA-F:]+$/.test(address)) return undefined;
  const [head = '', tail, ...more] = address.split('::');
  const parsed = (text: string): readonly number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [front, back] = [parsed(head), parsed(tail ?? '')];
  const missing = 8 - front.length - back.length;
  if (more.length > 0 || missing < 0 || (tail === undefined && missing > 0)) return undefined;
  const groups = [...front, ...Array.from({length: missing}, () => 0), ...back];
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined;
}
