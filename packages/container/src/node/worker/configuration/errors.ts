/** Errors of configs and secrets on the node; a container's status shows their code as its reason. */
import {defineErrors} from '@hivemind/contracts';

export const configurationErrors = defineErrors({
  'config-not-found': {status: 422, title: 'A config that the container uses does not exist'},
  'secret-not-found': {status: 422, title: 'A secret that the container uses does not exist'},
  'key-not-found': {status: 422, title: 'A config or secret lacks a key that the container uses'},
  'secrets-unavailable': {status: 503, title: 'The secrets could not be fetched', retryable: true},
});
