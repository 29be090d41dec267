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

/** Of a record's time, all but its last six digits and the Z. @param ms since the epoch */
export function timeHead(ms: number): string {
  return new Date(ms).toISOString().slice(0, -1);
}

/** One line of the file, without its newline. undefined: a piece of a record, which a crash may leave. */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const head = line.toString('latin1', 0, TIME + 10);
  const match = /^(\S{30}) (stdout|stderr) ([FP]) $/.exec(head);
  const [, time, stream, mark] = match ?? [];
  return time === undefined ? undefined : {time, stream: stream === 'stderr' ? 'stderr' : 'stdout', whole: mark === 'F', text: line.subarray(TIME + 10)};
}
