/** Answers of other resolvers: checked, cut to what is kept, and written anew for each who asks. Pure. */
import {CLASS_IN, HEADER_BYTES, OPT_BYTES, type QueryReader, RCODE, skipName, TYPE, u16, writeOpt} from './wire.ts';

/** A query as it is passed on: by an id of our own, always with EDNS. */
export function writeQuery(query: Pick<QueryReader, 'questionEnd' | 'flags' | 'dnssec'>, packet: Buffer, id: number): Buffer {
  const out = Buffer.alloc(query.questionEnd + OPT_BYTES);
  packet.copy(out, HEADER_BYTES, HEADER_BYTES, query.questionEnd);
  out.writeUInt16BE(id, 0);
  out.writeUInt16BE(0x0100 | (query.flags & 0x0010), 2);
  out.writeUInt16BE(1, 4);
  out.writeUInt16BE(1, 10);
  writeOpt(out, query.questionEnd, 0, query.dnssec);
  return out;
}

/** What another resolver answered, without EDNS. */
export interface Reply {
  readonly bytes: Buffer;
  /** Where the question ends. */
  readonly questionEnd: number;
  readonly rcode: number;
  readonly truncated: boolean;
  /** Where in `bytes` the lives of records stand. */
  readonly ttls: readonly number[];
  /** Seconds that it may be kept; 0: not at all. */
  readonly ttl: number;
}

/** Seconds. */
const LONGEST_TTL = 3_600;
const LONGEST_NEGATIVE_TTL = 300;

/**
 * `question`: the packet that was sent. undefined: this is no answer to it, whatever it says it is.
 */
export function readReply(answer: Buffer, question: Buffer): Reply | undefined {
  const questionEnd = question.length - OPT_BYTES;
  if (answer.length < questionEnd || u16(answer, 0) !== u16(question, 0) || (u16(answer, 2) & 0xf800) !== 0x8000 || u16(answer, 4) !== 1) return undefined;
  if (!sameQuestion(answer, question, questionEnd)) return undefined;
  const counts = [u16(answer, 6), u16(answer, 8), u16(answer, 10)];
  const [answers = 0, authorities = 0] = counts;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const ttls: number[] = [];
  let least = LONGEST_TTL;
  let negative = 0;
  let rcode = u16(answer, 2) & 15;
  let kept = total;
  let end = questionEnd;
  for (let index = 0; index < total; index++) {
    const at = skipName(answer, end);
    if (at < 0 || at + 10 > answer.length) return undefined;
    const next = at + 10 + u16(answer, at + 8);
    if (next > answer.length) return undefined;
    const type = u16(answer, at);
    if (type === TYPE.OPT) {
      rcode |= (answer[at + 4] ?? 0) << 4;
      // What may follow it is additional: nobody needs it.
      kept = index;
      break;
    }
    // The upper half is below zero for those who read it as signed: such a record is not kept.
    const ttl = Math.min(answer.readUInt32BE(at + 4), 0x8000_0000) % 0x8000_0000;
    ttls.push(at + 4);
    least = Math.min(least, ttl);
    if (type === TYPE.SOA && index >= answers && index < answers + authorities && next - at >= 14) negative = Math.min(ttl, answer.readUInt32BE(next - 4), LONGEST_NEGATIVE_TTL);
    end = next;
  }
  const truncated = (u16(answer, 2) & 0x0200) !== 0;
  const positive = rcode === RCODE.NOERROR && answers > 0;
  const cacheable = !truncated && (positive || rcode === RCODE.NXDOMAIN || rcode === RCODE.NOERROR);
  const bytes = Buffer.from(answer.subarray(0, end));
  bytes.writeUInt16BE(Math.max(0, kept - answers - authorities), 10);
  return {bytes, questionEnd, rcode, truncated, ttls, ttl: cacheable ? (positive ? least : negative) : 0};
}

function sameQuestion(answer: Buffer, question: Buffer, end: number): boolean {
  for (let at = HEADER_BYTES; at < end; at++) {
    const [a = 0, b = 0] = [answer[at], question[at]];
    if (a !== b && (lower(a) !== lower(b) || at >= end - 4)) return false;
  }
  return u16(question, end - 2) === CLASS_IN;
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);

/** The reply for one who asked, `age` seconds after it came. */
export function rewriteReply(reply: Reply, query: QueryReader, packet: Buffer, limit: number, age: number): Buffer {
  const opt = query.edns ? OPT_BYTES : 0;
  const cut = reply.truncated || reply.bytes.length + opt > limit;
  const end = cut ? reply.questionEnd : reply.bytes.length;
  const out = Buffer.allocUnsafe(end + opt);
  reply.bytes.copy(out, 0, 0, end);
  packet.copy(out, HEADER_BYTES, HEADER_BYTES, query.questionEnd);
  out.writeUInt16BE(query.id, 0);
  // Its word on authority and authenticity is not ours to give.
  out.writeUInt16BE(0x8080 | (cut ? 0x0200 : 0) | (query.flags & 0x0110) | (reply.rcode & 15), 2);
  if (cut) out.fill(0, 6, HEADER_BYTES);
  else for (const at of reply.ttls) out.writeUInt32BE(Math.max(0, out.readUInt32BE(at) - age), at);
  if (query.edns) {
    writeOpt(out, end, reply.rcode >> 4, query.dnssec);
    out.writeUInt16BE(out.readUInt16BE(10) + 1, 10);
  }
  return out;
}

