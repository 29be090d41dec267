/**
 * Container logs from the engine's stream to lines.
 *
 * Without a terminal the stream is frames of an 8 byte header (stream, length) and a body; with one it is bare text. Asked
 * for timestamps, the engine puts one before each message it stored. It stores a long line in pieces of 16 KiB: each piece
 * carries the first one's timestamp, and only the last ends in a newline.
 */
import type {LogLine, LogOptions} from '@hivemind/contracts';
import type * as z from 'zod';

export type RuntimeLogLine = Pick<LogLine, 'time' | 'stream' | 'line'>;

/** A longer line is handed on in pieces of this many bytes. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Nothing that the engine sends in one frame is longer; more is a stream out of step. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;
const SPACE = 0x20;
/** A frame's header begins with 0, 1 or 2; a timestamp with the digit of a year. */
const FIRST_DIGIT = 0x30;

/** The engine's query for {@link LogOptions}. */
export function logQuery({tail, since, until, follow}: z.infer<typeof LogOptions>): Readonly<Record<string, string | boolean>> {
  return {
    stdout: true,
    stderr: true,
    timestamps: true,
    follow,
    ...(tail === undefined ? {} : {tail: String(tail)}),
    ...(since === undefined ? {} : {since: unixTime(since)}),
    ...(until === undefined ? {} : {until: unixTime(until)}),
  };
}

/** RFC 3339 → seconds and nanoseconds, without losing the digits that a Date cannot hold. */
function unixTime(time: string): string {
  const seconds = Math.floor(new Date(time).getTime() / 1000);
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? '0';
  return `${seconds}.${fraction.padEnd(9, '0')}`;
}

/** Lines of both streams, in the order in which they were stored. */
export async function* logLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RuntimeLogLine> {
  const lines = {stdout: new LineJoiner('stdout'), stderr: new LineJoiner('stderr')};
  for await (const {stream, data, framed} of logFrames(chunks)) {
    const joiner = lines[stream];
    if (framed) yield* joiner.message(data);
    else yield* joiner.text(data);
  }
  for (const joiner of [lines.stdout, lines.stderr]) yield* joiner.end();
}

export interface Frame {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
  /** False: bare text of a terminal, cut anywhere. */
  readonly framed: boolean;
}

async function* logFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let multiplexed: boolean | undefined;
  const demultiplexer = new Demultiplexer();
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    multiplexed ??= (chunk[0] ?? 0) < FIRST_DIGIT;
    if (multiplexed) yield* demultiplexer.push(chunk);
    else yield {stream: 'stdout', data: asBuffer(chunk), framed: false};
  }
}

/** Frames out of chunks that are cut anywhere. */
export class Demultiplexer {
  #pieces: Buffer[] = [];
  #length = 0;
  /** Bytes wanted before the next frame is whole. */
  #wanted = 8;

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#pieces.push(asBuffer(chunk));
    this.#length += chunk.length;
    if (this.#length < this.#wanted) return;
    let buffer = this.#pieces.length === 1 && this.#pieces[0] ? this.#pieces[0] : Buffer.concat(this.#pieces);
    while (buffer.length >= 8) {
      const size = buffer.readUInt32BE(4);
      if (size > MAX_FRAME_BYTES) throw new Error('the engine sent a stream that is out of step');
      if (buffer.length < 8 + size) break;
      yield {stream: buffer[0] === 2 ? 'stderr' : 'stdout', data: buffer.subarray(8, 8 + size), framed: true};
      buffer = buffer.subarray(8 + size);
    }
    this.#wanted = buffer.length >= 8 ? 8 + buffer.readUInt32BE(4) : 8;
    this.#pieces = buffer.length > 0 ? [buffer] : [];
    this.#length = buffer.length;
  }
}

/** Joins the pieces of one stream's lines. */
class LineJoiner {
  readonly #stream: 'stdout' | 'stderr';
  #time = '';
  #pieces: Buffer[] = [];
  #length = 0;
  /** Text so far ends a line, so that a timestamp comes next. */
  #head: Buffer = Buffer.alloc(0);

  constructor(stream: 'stdout' | 'stderr') {
    this.#stream = stream;
  }

  /** One stored message: a timestamp, a space, and a line or a piece of one. */
  *message(data: Buffer): Generator<RuntimeLogLine> {
    const space = data.indexOf(SPACE);
    const time = data.toString('latin1', 0, Math.max(space, 0));
    if (this.#length === 0) this.#time = time;
    const body = data.subarray(space + 1);
    const ends = body.at(-1) === NEWLINE;
    yield* this.#add(ends ? body.subarray(0, -1) : body);
    if (ends) yield this.#take();
  }

  /** Bare text: whole lines are messages, the rest waits. Inside a line, a repeat of its timestamp marks where it was cut. */
  *text(data: Buffer): Generator<RuntimeLogLine> {
    let rest = this.#head.length > 0 ? Buffer.concat([this.#head, data]) : data;
    let newline: number;
    while ((newline = rest.indexOf(NEWLINE)) >= 0) {
      yield* this.message(withoutRepeatedTime(rest.subarray(0, newline + 1)));
      rest = rest.subarray(newline + 1);
    }
    if (rest.length > MAX_LINE_BYTES) {
      const space = rest.indexOf(SPACE);
      yield* this.message(Buffer.concat([withoutRepeatedTime(rest), Buffer.from('\n')]));
      rest = Buffer.from(rest.subarray(0, space + 1));
    }
    this.#head = Buffer.from(rest);
  }

  *end(): Generator<RuntimeLogLine> {
    if (this.#head.length > 0) yield* this.message(withoutRepeatedTime(this.#head));
    if (this.#length > 0) yield this.#take();
  }

  *#add(piece: Buffer): Generator<RuntimeLogLine> {
    // A copy: the chunk it is a view of would stay in memory as long as the line waits for its end.
    if (piece.length > 0) this.#pieces.push(Buffer.from(piece));
    this.#length += piece.length;
    while (this.#length > MAX_LINE_BYTES) {
      const all = Buffer.concat(this.#pieces);
      const cut = characterStart(all, MAX_LINE_BYTES);
      yield {time: this.#time, stream: this.#stream, line: all.toString('utf8', 0, cut)};
      this.#pieces = [all.subarray(cut)];
      this.#length = all.length - cut;
    }
  }

  #take(): RuntimeLogLine {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#length = 0;
    return {time: this.#time, stream: this.#stream, line: text.endsWith('\r') ? text.slice(0, -1) : text};
  }
}

function withoutRepeatedTime(line: Buffer): Buffer {
  const prefix = line.subarray(0, line.indexOf(SPACE) + 1);
  if (prefix.length < 20 || line.indexOf(prefix, prefix.length) < 0) return line;
  const text = line.toString('latin1');
  const mark = prefix.toString('latin1');
  return Buffer.from(mark + text.slice(mark.length).replaceAll(mark, ''), 'latin1');
}

/** The last place at or before `at` where a character of UTF-8 begins. */
function characterStart(bytes: Buffer, at: number): number {
  let place = at;
  while (place > 0 && at - place < 4 && ((bytes[place] ?? 0) & 0xc0) === 0x80) place--;
  return place === 0 ? at : place;
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
