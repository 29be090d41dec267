/**
 * An answer without what is the asker's own (id, question, EDNS): made once for a name, and written thousands of times a second.
 * Its records point to the question's name, so that it fits behind any spelling of it. Pure.
 */
import {HEADER_BYTES, OPT_BYTES, type QueryReader, RCODE, SAFE_UDP, writeOpt} from './wire.ts';

export interface Body {
  readonly rcode: number;
  readonly answers: number;
  readonly authorities: number;
  readonly additionals: number;
  /** The records, in that order. */
  readonly bytes: Buffer;
  /** Bytes up to the additional records, which may be left out. */
  readonly needed: number;
  /** All answers have the same size in bytes, and any order of them is as good; 0: as they are. */
  readonly shuffled: number;
}

/** Records behind an answer at most: more do not fit a message of TCP. */
const MOST_BYTES = 65_535 - HEADER_BYTES - 260 - OPT_BYTES;

export function bodyOf({rcode = RCODE.NOERROR, answers = [], authorities = [], additionals = [], shuffle = false}: {readonly rcode?: number; readonly answers?: readonly Buffer[]; readonly authorities?: readonly Buffer[]; readonly additionals?: readonly Buffer[]; readonly shuffle?: boolean}): Body {
  const kept = within(answers, MOST_BYTES);
  const needed = sum(kept) + sum(authorities);
  const extra = within(additionals, MOST_BYTES - needed);
  return {
    rcode, needed, answers: kept.length, authorities: authorities.length, additionals: extra.length,
    bytes: Buffer.concat([...kept, ...authorities, ...extra]),
    shuffled: shuffle && kept.length > 1 ? (kept[0]?.length ?? 0) : 0,
  };
}

function within(records: readonly Buffer[], most: number): readonly Buffer[] {
  let bytes = 0;
  const end = records.findIndex(({length}) => (bytes += length) > most);
  return end < 0 ? records : records.slice(0, end);
}

const sum = (records: readonly Buffer[]): number => records.reduce((bytes, {length}) => bytes + length, 0);

/** Most bytes that may be sent to who asked. */
export function limitOf(query: QueryReader, overTcp: boolean): number {
  return overTcp ? 65_535 : Math.min(query.udpSize, SAFE_UDP);
}

/**
 * The whole answer. What does not fit is left out, and the answer marked as cut off, but for additional records.
 * @param random in [0, 1), for the order of answers
 */
export function writeAnswer(query: QueryReader, packet: Buffer, body: Body, limit: number, random: () => number): Buffer {
  const {questionEnd} = query;
  const room = limit - questionEnd - (query.edns ? OPT_BYTES : 0);
  let {answers, authorities, additionals} = body;
  let length = body.bytes.length;
  let truncated = 0;
  if (length > room) {
    additionals = 0;
    length = body.needed;
    if (length > room) {
      truncated = 0x0200;
      authorities = 0;
      answers = body.shuffled > 0 ? Math.floor(room / body.shuffled) : 0;
      length = answers * body.shuffled;
    }
  }
  const out = Buffer.allocUnsafe(questionEnd + length + (query.edns ? OPT_BYTES : 0));
  packet.copy(out, HEADER_BYTES, HEADER_BYTES, questionEnd);
  if (body.shuffled > 0) copyShuffled(out, questionEnd, body, answers, length, random);
  else body.bytes.copy(out, questionEnd, 0, length);
  // Authoritative, and able to ask others.
  writeHeader(out, query, 0x0400 | truncated | 0x0080 | body.rcode, 1, answers, authorities, additionals + (query.edns ? 1 : 0));
  if (query.edns) writeOpt(out, questionEnd + length, 0, query.dnssec);
  return out;
}

/** `count` of the answers in an order of chance (Fisher and Yates), then what follows them. */
function copyShuffled(out: Buffer, at: number, {bytes, shuffled: size, answers}: Body, count: number, length: number, random: () => number): void {
  if (count === answers) bytes.copy(out, at, 0, length);
  const order = Uint16Array.from({length: answers}, (_, index) => index);
  for (let index = 0; index < count; index++) {
    const other = index + Math.floor(random() * (answers - index));
    const chosen = order[other] ?? 0;
    order[other] = order[index] ?? 0;
    bytes.copy(out, at + index * size, chosen * size, chosen * size + size);
  }
}

/** An answer that says nothing but why there is none. */
export function writeError(query: QueryReader, packet: Buffer, rcode: number): Buffer {
  const end = query.questionEnd === 0 ? HEADER_BYTES : query.questionEnd;
  const out = Buffer.alloc(end + (query.edns ? OPT_BYTES : 0));
  packet.copy(out, HEADER_BYTES, HEADER_BYTES, end);
  writeHeader(out, query, (query.flags & 0x7800) | 0x0080 | (rcode & 15), query.questionEnd === 0 ? 0 : 1, 0, 0, query.edns ? 1 : 0);
  if (query.edns) writeOpt(out, end, rcode >> 4, query.dnssec);
  return out;
}

function writeHeader(out: Buffer, {id, flags}: QueryReader, own: number, questions: number, answers: number, authorities: number, additionals: number): void {
  // An answer, with what was wished of recursion and checking repeated.
  const all = 0x8000 | own | (flags & 0x0110);
  out[0] = id >> 8;
  out[1] = id;
  out[2] = all >> 8;
  out[3] = all;
  out[4] = 0;
  out[5] = questions;
  out[6] = answers >> 8;
  out[7] = answers;
  out[8] = authorities >> 8;
  out[9] = authorities;
  out[10] = additionals >> 8;
  out[11] = additionals;
}

