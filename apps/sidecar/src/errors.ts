/** What the sidecar itself can fail with. */
import {defineErrors} from '@hivemind/contracts/define-errors';

export const sidecarErrors = defineErrors({
  'socket-in-use': {status: 409, title: 'Another sidecar serves this socket'},
  'socket-invalid': {status: 422, title: 'The socket cannot be made'},
  'key-file-invalid': {status: 422, title: 'The key file cannot be read'},
  'sidecar-absent': {status: 503, title: 'No sidecar answers', retryable: true},
  'sidecar-missing': {status: 500, title: 'The sidecar\'s program is missing'},
});
