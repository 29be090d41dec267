/** One container's log: what comes out of it, by line, stamped and in files that are turned over when full. */
import {type FileHandle, mkdir, open, rename} from 'node:fs/promises';
import {join} from 'node:path';
import {recordHead, type StreamName} from '../core/log-record.ts';

/** A file is turned over past this size (bytes), and so many older ones are kept. */
const FULL = 10 * 2 ** 20;
export const OLDER_FILES = 2;
/** A longer line is written in pieces. */
const LONGEST_RECORD = 16 * 1024;
/** What has no newline yet, as a prompt, is written after so long. */
const PARTIAL_MS = 100;
/** More than this (bytes) not on the disk yet: whoever writes waits. */
const BEHIND = 2 ** 20;
const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);
const END = Buffer.from('\n');

export function logFile(dir: string, older = 0): string {
  return join(dir, older === 0 ? 'log' : `log.${older}`);
}

export class LogWriter {
  readonly #dir: string;
  #file: FileHandle;
  #size: number;
  #waiting: Buffer[] = [];
  #behind = 0;
  #writing: Promise<void> | undefined;
  #partial: Record<StreamName, Buffer> = {stdout: EMPTY, stderr: EMPTY};
  #timer: NodeJS.Timeout | undefined;
  #last = 0n;

  private constructor(dir: string, file: FileHandle, size: number) {
    this.#dir = dir;
    this.#file = file;
    this.#size = size;
  }

  static async open(dir: string): Promise<LogWriter> {
    await mkdir(dir, {recursive: true});
    const file = await open(logFile(dir), 'a', 0o640);
    return new LogWriter(dir, file, (await file.stat()).size);
  }

  /** A promise where the disk is behind: it resolves when there is room again. */
  write(stream: StreamName, chunk: Buffer): Promise<void> | undefined {
    let rest = this.#partial[stream].length > 0 ? Buffer.concat([this.#partial[stream], chunk]) : chunk;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      this.#line(stream, rest.subarray(0, end), true);
      rest = rest.subarray(end + 1);
    }
    for (; rest.length > LONGEST_RECORD; rest = rest.subarray(LONGEST_RECORD)) this.#record(stream, rest.subarray(0, LONGEST_RECORD), false);
    // A copy: the chunk that it is a view of would stay in memory with it.
    this.#partial[stream] = rest.length > 0 ? Buffer.from(rest) : EMPTY;
    if (rest.length > 0) this.#timer ??= setTimeout(() => this.#flushPartial(), PARTIAL_MS).unref();
    this.#writing ??= this.#writeAll();
    return this.#behind > BEHIND ? this.#writing : undefined;
  }

  /** @param ended There is no more to come; else the rest of a line may follow in another process */
  async close(ended = true): Promise<void> {
    clearTimeout(this.#timer);
    for (const stream of ['stdout', 'stderr'] as const) if (this.#partial[stream].length > 0) this.#line(stream, this.#partial[stream], ended);
    await (this.#writing ?? this.#writeAll());
    await this.#file.close();
  }

  #flushPartial(): void {
    this.#timer = undefined;
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#partial[stream].length > 0) this.#record(stream, this.#partial[stream], false);
      this.#partial[stream] = EMPTY;
    }
    this.#writing ??= this.#writeAll();
  }

  #line(stream: StreamName, text: Buffer, whole: boolean): void {
    let rest = text;
    for (; rest.length > LONGEST_RECORD; rest = rest.subarray(LONGEST_RECORD)) this.#record(stream, rest.subarray(0, LONGEST_RECORD), false);
    this.#record(stream, rest, whole);
  }

  #record(stream: StreamName, text: Buffer, whole: boolean): void {
    const head = Buffer.from(recordHead(this.#now(), stream, whole), 'latin1');
    this.#waiting.push(head, text, END);
    this.#behind += head.length + text.length + 1;
  }

  /** No two records have the same: people ask for what lies between two times. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#last = now > this.#last ? now : this.#last + 1n;
    return this.#last;
  }

  async #writeAll(): Promise<void> {
    // First what is read in this turn of the loop is collected.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const bytes = Buffer.concat(this.#waiting.splice(0));
        this.#behind = 0;
        await this.#file.appendFile(bytes).catch(() => undefined); // A full disk costs lines, not the container.
        this.#size += bytes.length;
        if (this.#size > FULL) await this.#turnOver();
      }
    } finally {
      this.#writing = undefined;
    }
  }

  async #turnOver(): Promise<void> {
    for (let older = OLDER_FILES - 1; older >= 0; older--) await rename(logFile(this.#dir, older), logFile(this.#dir, older + 1)).catch(() => undefined);
    const full = this.#file;
    this.#file = await open(logFile(this.#dir), 'a', 0o640);
    this.#size = 0;
    await full.close();
  }
}
