/** Which request is this? The caller's trace (W3C Trace Context), or one begun here. */
import {randomBytes} from 'node:crypto';

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;
const INVALID = '0'.repeat(32);

/** The 32 hex digits of a `traceparent`, or a new trace id where it is missing or wrong. */
export function traceIdOf(traceparent: string | readonly string[] | undefined): string {
  const traceId = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
  return traceId === undefined || traceId === INVALID ? randomBytes(16).toString('hex') : traceId;
}
