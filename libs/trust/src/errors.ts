/** What can be wrong with keys, certificates and join tokens. */
import {defineErrors} from '@hivemind/contracts';

export const trustErrors = defineErrors({
  'cluster-key-mismatch': {status: 503, title: 'The cluster key is not this cluster\'s'},
  'cluster-key-missing': {status: 503, title: 'The cluster key is gone'},
  'cluster-key-invalid': {status: 503, title: 'The cluster key cannot be read'},
  'join-token-malformed': {status: 422, title: 'Not a join token'},
  'authority-mismatch': {status: 409, title: 'This is not the cluster that the token is of'},
  'insecure-join': {status: 422, title: 'A join off this machine needs https'},
  'identity-damaged': {status: 500, title: 'The identity of this machine cannot be read'},
  'identity-conflict': {status: 409, title: 'The data dir is of another node or cluster'},
  'join-failed': {status: 502, title: 'The gateway does not answer as one'},
});
