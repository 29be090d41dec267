import {commonErrors, defineErrors} from '@hivemind/contracts';

const {definitions: common} = commonErrors;

export const errors = defineErrors({
  'secret-not-found': {status: 404, title: 'Secret not found'},
  'secret-in-use': {status: 409, title: 'The secret is in use'},
  'secrets-key-missing': {status: 503, title: 'The key that secrets are sealed with is missing'},
  'secrets-key-invalid': {status: 503, title: 'The key that secrets are sealed with cannot be read'},
  'secret-unreadable': {status: 503, title: 'The secret cannot be opened with this key'},
  'session-expired': {status: 409, title: 'The session of the node is over'},
  'secrets-too-large': {status: 413, title: 'The secrets are too large to send in one message'},
  'already-exists': common['already-exists'],
  'invalid-input': common['invalid-input'],
});
