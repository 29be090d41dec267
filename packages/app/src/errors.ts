/** Every error of the app manager. */
import {commonErrors, defineErrors} from '@hivemind/contracts';

const {definitions: common} = commonErrors;

export const errors = defineErrors({
  'app-not-found': {status: 404, title: 'App not found'},
  'app-deleting': {status: 409, title: 'The app is being deleted'},
  'revision-not-found': {status: 404, title: 'Revision not found'},
  'config-not-found': {status: 404, title: 'Config not found'},
  'config-in-use': {status: 409, title: 'The config is in use'},
  'container-not-found': {status: 404, title: 'Container not found'},
  'namespace-not-found': {status: 404, title: 'Namespace not found'},
  'namespace-not-empty': {status: 409, title: 'The namespace is not empty'},
  'namespace-fixed': {status: 409, title: 'The default namespace always exists'},
  'port-conflict': {status: 409, title: 'The host port belongs to another app, or an ingress'},
  'domain-taken': {status: 409, title: 'The domain belongs to another app'},
  'does-not-fit': {status: 422, title: 'No machine could ever run it'},
  'not-held': {status: 409, title: 'Nothing waits to be adopted'},
  'still-deleting': {status: 504, title: 'The deletion goes on', retryable: true},
  'session-expired': {status: 409, title: 'The session of the node is over'},
  'not-supported': common['not-supported'],
  'already-exists': common['already-exists'],
  'version-mismatch': common['version-mismatch'],
  'invalid-input': common['invalid-input'],
  'unavailable': common.unavailable,
});
