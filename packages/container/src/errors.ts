/** Errors of the container manager's control half. */
import {defineErrors} from '@hivemind/contracts';

export const containerErrors = defineErrors({
  'container-not-found': {status: 404, title: 'Container not found'},
  'container-not-running': {status: 409, title: 'The container does not run'},
  'node-not-connected': {status: 503, title: 'The machine cannot be reached', retryable: true},
  'upgrade-required': {status: 426, title: 'The route is a WebSocket'},
  'session-expired': {status: 409, title: 'The node has another session by now'},
});
