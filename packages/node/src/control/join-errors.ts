/** Why a machine may not join, or not go on. */
import {defineErrors} from '@hivemind/contracts';

export const joinErrors = defineErrors({
  'join-not-offered': {status: 409, title: 'This Hivemind takes no further machines'},
  'join-token-invalid': {status: 403, title: 'The join token is not valid'},
  'join-token-expired': {status: 403, title: 'The join token has expired'},
  'join-token-used': {status: 403, title: 'The join token is used up'},
  'join-token-not-found': {status: 404, title: 'Join token not found'},
  'join-other-cluster': {status: 403, title: 'The token or the machine is of another cluster'},
  'node-name-taken': {status: 409, title: 'There is a node of this name'},
  'node-removed': {status: 403, title: 'The node is not of this cluster any more'},
  'signature-invalid': {status: 403, title: 'Not signed by this node'},
  'clock-apart': {status: 403, title: 'The clocks are too far apart'},
  'too-many-attempts': {status: 429, title: 'Too many attempts failed', retryable: true},
});
