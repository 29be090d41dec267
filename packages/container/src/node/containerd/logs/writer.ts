/**
 * One container's log: what comes out of it, by line, stamped and in files that are turned over when full. Each piece that is read
 * is in the file before the next is read, and nothing is kept in memory between the two: who is killed loses at most the piece that
 * it had in its hands. So it is written synchronously, into the kernel's memory; who reads on finds in the file where a line stopped.
 */
import {closeSync, openSync, renameSync, writeSync} from 'node:fs';
import {mkdir, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {type StreamName, timeHead} from '../core/log-record.ts';

/** A file is turned over past this size (bytes), and so many older ones are kept. */
const FULL = 10 * 2 ** 20;
export const OLDER_FILES = 2;
/** A longer line is written in pieces. */
const LONGEST_RECORD = 16 * 1024;
/** Room for what comes before a record's text, and its newline (bytes). */
const AROUND = 48;
/** In a millisecond; there are no more lines in one. */
const NANOSECONDS = 1_000_000;
const NEWLINE = 0x0a;

export function logFile(dir: string, older = 0): string {
  return join(dir, older === 0 ? 'log' : `log.${older}`);
}

export class LogWriter {
  readonly #dir: string;
  #file: number;
  #size: number;
  /** Whether the stream's last record is a line that goes on. */
  readonly #open: Record<StreamName, boolean> = {stdout: false, stderr: false};
  #ms = 0;
  #withinMs = 0;
  #time = '';

  private constructor(dir: string, file: number, size: number) {
    this.#dir = dir;
    this.#file = file;
    this.#size = size;
  }

  static async open(dir: string): Promise<LogWriter> {
    await mkdir(dir, {recursive: true});
    const {size} = await stat(logFile(dir)).catch(() => ({size: 0}));
    return new LogWriter(dir, openLog(dir), size);
  }

  write(stream: StreamName, chunk: Buffer): void {
    const out = Buffer.allocUnsafe(chunk.length + (newlines(chunk) + 1 + Math.ceil(chunk.length / LONGEST_RECORD)) * AROUND);
    let length = 0;
    for (let at = 0; at < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, at);
      const lineEnd = newline < 0 ? chunk.length : newline;
      const end = Math.min(lineEnd, at + LONGEST_RECORD);
      const whole = end === newline;
      length += out.write(`${this.#stamp()}${stream} ${whole ? 'F' : 'P'} `, length, 'latin1');
      length += chunk.copy(out, length, at, end);
      out[length++] = NEWLINE;
      this.#open[stream] = !whole;
      at = whole ? end + 1 : end;
    }
    this.#append(out.subarray(0, length));
  }

  /** @param ended There is no more to come; else the rest of a line may follow in another process */
  close(ended = true): void {
    for (const stream of ['stdout', 'stderr'] as const) if (ended && this.#open[stream]) this.#append(Buffer.from(`${this.#stamp()}${stream} F \n`, 'latin1'));
    closeSync(this.#file);
  }

  /** No two records have the same: people ask for what lies between two times. */
  #stamp(): string {
    const now = Date.now();
    if (now > this.#ms) {
      [this.#ms, this.#withinMs] = [now, 0];
      this.#time = timeHead(now);
    } else if (++this.#withinMs === NANOSECONDS) {
      [this.#ms, this.#withinMs] = [this.#ms + 1, 0];
      this.#time = timeHead(this.#ms);
    }
    return `${this.#time}${String(this.#withinMs).padStart(6, '0')}Z `;
  }

  #append(bytes: Buffer): void {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    } catch {
      return; // A full disk costs lines, not the container.
    }
    this.#size += bytes.length;
    if (this.#size > FULL) this.#turnOver();
  }

  #turnOver(): void {
    try {
      for (let older = OLDER_FILES - 1; older >= 0; older--) rename(logFile(this.#dir, older), logFile(this.#dir, older + 1));
      const full = this.#file;
      this.#file = openLog(this.#dir);
      this.#size = 0;
      closeSync(full);
    } catch {
      // It goes on in the file that is full, and is tried again with the next piece.
    }
  }
}

function openLog(dir: string): number {
  return openSync(logFile(dir), 'a', 0o640);
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // There is none yet.
  }
}

function newlines(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
