/** A container's log files, read back as lines: from the oldest on, and on while it runs. */
import {watch} from 'node:fs';
import {type FileHandle, mkdir, open, stat} from 'node:fs/promises';
import type {LogOptions} from '@hivemind/contracts';
import type * as z from 'zod';
import {MAX_LINE_BYTES, type RuntimeLogLine} from '../../docker/logs.ts';
import {type LogRecord, parseRecord, type StreamName} from '../core/log-record.ts';
import {logFile, OLDER_FILES} from './writer.ts';

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** @param ended Resolves when nothing more will be written. */
export async function* readLog(dir: string, {tail, since, until, follow}: z.infer<typeof LogOptions>, ended: Promise<void>, signal: AbortSignal): AsyncGenerator<RuntimeLogLine> {
  const wanted = ({time}: {readonly time: string}): boolean => (since === undefined || time >= fullTime(since)) && (until === undefined || time <= fullTime(until));
  const last: RuntimeLogLine[] = [];
  for await (const line of joined(records(dir, follow, ended, signal))) {
    if (line === 'caught up') {
      yield* last.splice(0);
      if (!follow) return;
    } else if (line.caughtUp || tail === undefined) {
      if (wanted(line.line)) yield line.line;
    } else if (wanted(line.line) && tail > 0) {
      last.push(line.line);
      if (last.length > tail) last.shift();
    }
  }
  yield* last;
}

/** With all nine digits, so that texts compare as times do. */
function fullTime(time: string): string {
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? '';
  return `${new Date(time).toISOString().slice(0, 19)}.${fraction.padEnd(9, '0')}Z`;
}

type Piece = LogRecord | 'caught up';

async function* joined(pieces: AsyncIterable<Piece>): AsyncGenerator<{readonly line: RuntimeLogLine; readonly caughtUp: boolean} | 'caught up'> {
  const open: Record<StreamName, LogRecord[]> = {stdout: [], stderr: []};
  let caughtUp = false;
  const take = (stream: StreamName): RuntimeLogLine => {
    const parts = open[stream];
    open[stream] = [];
    const text = Buffer.concat(parts.map(({text: part}) => part)).toString('utf8');
    return {time: parts[0]?.time ?? '', stream, line: text.endsWith('\r') ? text.slice(0, -1) : text};
  };
  for await (const piece of pieces) {
    if (piece === 'caught up') {
      caughtUp = true;
      yield piece;
      continue;
    }
    const parts = open[piece.stream];
    if (parts.reduce((sum, {text}) => sum + text.length, piece.text.length) > MAX_LINE_BYTES) yield {line: take(piece.stream), caughtUp};
    open[piece.stream].push(piece);
    if (piece.whole) yield {line: take(piece.stream), caughtUp};
  }
  for (const stream of ['stdout', 'stderr'] as const) if (open[stream].length > 0) yield {line: take(stream), caughtUp};
}

/** `caught up` once, at the end of what there was. */
async function* records(dir: string, follow: boolean, ended: Promise<void>, signal: AbortSignal): AsyncGenerator<Piece> {
  await mkdir(dir, {recursive: true});
  const changes = follow ? new Changes(dir, ended, signal) : undefined;
  let at = await oldest(dir);
  let caughtUp = false;
  try {
    while (!signal.aborted) {
      // Before reading: what comes meanwhile is then seen as a change.
      const over = changes?.over ?? true;
      const change = changes?.next();
      if (at) {
        const {file} = at;
        yield* at.read();
        const newer = await following(dir, file);
        if (newer) {
          // What was written between the last read and the turning over.
          yield* at.read();
          await file.close();
          at = new Place(newer);
          continue;
        }
      } else {
        at = await oldest(dir);
        if (at) continue;
      }
      if (!caughtUp) yield 'caught up';
      caughtUp = true;
      if (over) return;
      await change;
    }
  } finally {
    changes?.close();
    await at?.file.close();
  }
}

class Place {
  readonly file: FileHandle;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle) {
    this.file = file;
  }

  /** Records up to the present end. */
  async *read(): AsyncGenerator<LogRecord> {
    const chunk = Buffer.alloc(CHUNK);
    while (true) {
      const {bytesRead} = await this.file.read(chunk, 0, CHUNK, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      let rest = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)]);
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
        const record = parseRecord(rest.subarray(0, end));
        if (record) yield record;
        rest = rest.subarray(end + 1);
      }
      this.#rest = rest;
    }
  }
}

async function oldest(dir: string): Promise<Place | undefined> {
  for (let older = OLDER_FILES; older >= 0; older--) {
    const file = await opened(logFile(dir, older));
    if (file) return new Place(file);
  }
  return undefined;
}

/** The file after this one, which may have been turned over meanwhile. undefined: it is the newest. */
async function following(dir: string, file: FileHandle): Promise<FileHandle | undefined> {
  const {ino} = await file.stat();
  for (let older = 0; older <= OLDER_FILES; older++) {
    const info = await stat(logFile(dir, older)).catch(() => undefined);
    if (info?.ino === ino) return older === 0 ? undefined : opened(logFile(dir, older - 1));
  }
  // Older than what is kept: on with the oldest that is.
  return (await oldest(dir))?.file;
}

async function opened(path: string): Promise<FileHandle | undefined> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Wakes when files of a directory changed, when nothing more will come, or when nobody waits any more. */
class Changes {
  over = false;
  readonly #watcher;
  #wake = Promise.withResolvers<void>();

  constructor(dir: string, ended: Promise<void>, signal: AbortSignal) {
    const wake = (): void => this.#wake.resolve();
    this.#watcher = watch(dir, wake);
    this.#watcher.on('error', wake);
    signal.addEventListener('abort', wake, {once: true});
    void ended.catch(() => undefined).then(() => {
      this.over = true;
      wake();
    });
  }

  /** From now on. */
  next(): Promise<void> {
    this.#wake = Promise.withResolvers<void>();
    if (this.over) this.#wake.resolve();
    return this.#wake.promise;
  }

  close(): void {
    this.#watcher.close();
  }
}
