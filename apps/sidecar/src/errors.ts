/** What the sidecar itself can fail with, and errors as they cross its threads. */
import {commonErrors, defineErrors, HivemindError} from '@hivemind/contracts/define-errors';

export const sidecarErrors = defineErrors({
  'socket-in-use': {status: 409, title: 'Another sidecar serves this socket'},
  'socket-invalid': {status: 422, title: 'The socket cannot be made'},
  'key-file-invalid': {status: 422, title: 'The key file cannot be read'},
  'sidecar-absent': {status: 503, title: 'No sidecar answers', retryable: true},
  'sidecar-missing': {status: 500, title: 'The sidecar\'s program is missing'},
  'tenant-down': {status: 503, title: 'This part of the sidecar is being started again', retryable: true},
});

/** An error as it crosses threads, where classes are lost. */
export interface ThrownError {
  readonly message: string;
  readonly body?: ReturnType<HivemindError['toBody']>;
}

export function toThrown(error: unknown): ThrownError {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof HivemindError ? {message, body: error.toBody()} : {message};
}

export function fromThrown({message, body}: ThrownError): HivemindError {
  return body ? HivemindError.fromBody(body) : commonErrors.internal(message);
}
