/** Errors of every runtime driver. */
import {defineErrors} from '@hivemind/contracts';

export const runtimeErrors = defineErrors({
  'runtime-unavailable': {status: 503, title: 'The container engine does not answer', retryable: true},
  'image-not-found': {status: 422, title: 'The image does not exist'},
  'image-pull-failed': {status: 503, title: 'The image could not be pulled', retryable: true},
  'image-unauthorized': {status: 422, title: 'The registry refused the credentials'},
  'archive-refused': {status: 422, title: 'The archive of images was not taken'},
  'build-failed': {status: 422, title: 'The image could not be built'},
  'port-in-use': {status: 409, title: 'A port is taken on the machine'},
  'container-not-found': {status: 404, title: 'The engine has no such container'},
  'runtime-conflict': {status: 409, title: 'The engine refuses it in this state'},
  'start-failed': {status: 422, title: 'The container could not be started'},
  'runtime-failed': {status: 503, title: 'The container engine failed', retryable: true},
});
