/** Errors of machines and their sessions. */
import {defineErrors} from '@hivemind/contracts';

export const nodeErrors = defineErrors({
  'session-expired': {status: 409, title: 'The node has another session by now'},
  'node-not-found': {status: 404, title: 'Node not found'},
  'node-conflict': {status: 409, title: 'The node was changed meanwhile', retryable: true},
});
