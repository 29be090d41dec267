import {defineErrors} from '@hivemind/contracts';

export const gatewayErrors = defineErrors({
  'wrong-token': {status: 401, title: 'A valid token is needed'},
  'too-many-streams': {status: 503, title: 'Too many event streams are open', retryable: true},
  'not-in-batch': {status: 422, title: 'This cannot be part of a batch'},
  'batch-timeout': {status: 504, title: 'The request took too long for a batch'},
  'no-instance': {status: 503, title: 'No instance of the service is there', retryable: true},
  'instance-lost': {status: 503, title: 'The instance was lost while it answered', retryable: true},
});

/** The code of an error of the operating system, as in ENOENT. */
export function systemErrorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
