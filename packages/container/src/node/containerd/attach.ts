/** Attaching to a main process: what its log gets from now on, until it ends. Its input is not connected, as with Docker. */
import type {ExecOptions, ExecSession} from '@hivemind/runtime';
import {readLog} from './logs/reader.ts';

export interface Attachment {
  /** Directory of its log. */
  readonly log: string;
  readonly ended: Promise<void>;
  readonly exitCode: Promise<number>;
  resize(columns: number, rows: number): Promise<unknown>;
}

export async function attach({log, ended, exitCode, resize}: Attachment, {columns, rows}: ExecOptions): Promise<ExecSession> {
  const left = new AbortController();
  const resized = async (width: number, height: number): Promise<void> => void (await resize(width, height).catch(() => undefined));
  if (columns !== undefined && rows !== undefined) await resized(columns, rows);
  exitCode.catch(() => undefined);
  return {
    output: (async function* () {
      for await (const {stream, line} of readLog(log, {follow: true, tail: 0}, ended, left.signal)) yield {stream, data: Buffer.from(`${line}\n`)};
    })(),
    write: () => Promise.resolve(),
    endInput: () => undefined,
    resize: resized,
    exitCode,
    close: () => left.abort(),
  };
}
