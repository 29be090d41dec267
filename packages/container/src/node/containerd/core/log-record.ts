/**
 * A log file's records, as Kubernetes' nodes write them, so that shippers of logs read them too:
 * `2026-01-01T00:00:00.000000001Z stdout F text`. P instead of F: the line goes on in the stream's next record. Pure.
 */

export type StreamName = 'stdout' | 'stderr';

export interface LogRecord {
  readonly time: string;
  readonly stream: StreamName;
  /** Its newline is there. */
  readonly whole: boolean;
  readonly text: Buffer;
}

/** Of the time, which has always this many characters. */
const TIME = 30;

/** Up to the text. @param nanoseconds since the epoch */
export function recordHead(nanoseconds: bigint, stream: StreamName, whole: boolean): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}Z ${stream} ${whole ? 'F' : 'P'} `;
}

/** One line of the file, without its newline. undefined: a piece of a record, which a crash may leave. */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const head = line.toString('latin1', 0, TIME + 10);
  const match = /^(\S{30}) (stdout|stderr) ([FP]) $/.exec(head);
  const [, time, stream, mark] = match ?? [];
  return time === undefined ? undefined : {time, stream: stream === 'stderr' ? 'stderr' : 'stdout', whole: mark === 'F', text: line.subarray(TIME + 10)};
}
