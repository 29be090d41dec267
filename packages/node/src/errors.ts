/** Errors of machines and their sessions. */
import {defineErrors} from '@hivemind/contracts';

export const nodeErrors = defineErrors({
  'session-expired': {status: 409, title: 'The node has another session by now'},
  'node-not-found': {status: 404, title: 'Node not found'},
  'node-conflict': {status: 409, title: 'The node was changed meanwhile', retryable: true},
  'node-in-use': {status: 409, title: 'The node is in use'},
  'node-heard': {status: 409, title: 'The node is not dead'},
  'not-draining': {status: 409, title: 'The node is not being drained'},
  'taint-not-found': {status: 404, title: 'Taint not found'},
  'settings-unsafe': {status: 422, title: 'These settings would do harm'},
  'brake-not-engaged': {status: 409, title: 'Replacement is not paused'},
});
