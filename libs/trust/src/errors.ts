/** What can be wrong with keys, certificates and join tokens. */
import {defineErrors} from '@hivemind/contracts';

export const trustErrors = defineErrors({
  'cluster-key-mismatch': {status: 503, title: 'The cluster key is not this cluster\'s'},
  'cluster-key-missing': {status: 503, title: 'The cluster key is gone'},
  'cluster-key-invalid': {status: 503, title: 'The cluster key cannot be read'},
  'join-token-malformed': {status: 422, title: 'Not a join token'},
});
