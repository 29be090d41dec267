/** The bus's errors, and how any error crosses the wire. */
import {commonErrors, defineErrors, ErrorBody, HivemindError} from '@hivemind/contracts';

export const busErrors = defineErrors({
  'timeout': {status: 504, title: 'No answer in time', retryable: true},
  'no-responders': {status: 503, title: 'Nobody serves this', retryable: true},
  'too-large': {status: 413, title: 'The message is too large'},
  'disconnected': {status: 503, title: 'The bus is not reachable', retryable: true},
  'closed': {status: 503, title: 'It is closed', retryable: true},
  'not-permitted': {status: 403, title: 'Not permitted on the bus'},
  'cancelled': {status: 499, title: 'Cancelled'},
  'invalid-subject': {status: 500, title: 'Not a subject'},
  'invalid-message': {status: 400, title: 'The message is not valid'},
  'invalid-reply': {status: 502, title: 'The answer is not valid'},
});

/** What the other side may see of an error: a HivemindError as it is; anything else says only that something broke. */
export function errorToWire(error: unknown): ErrorBody {
  if (error instanceof HivemindError) return error.toBody();
  return commonErrors.internal('Something broke while answering; the log of the service that answers has the cause.').toBody();
}

/** The error that the other side sent. Garbage becomes `invalid-reply`, never an exception of the parser. */
export function errorFromWire(body: unknown): HivemindError {
  const parsed = ErrorBody.safeParse(body);
  return parsed.success ? HivemindError.fromBody(parsed.data) : busErrors['invalid-reply']('The other side failed, in a form that cannot be read.');
}
