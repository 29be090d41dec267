/** What keeps a machine from joining, before or beside what the control plane says. */
import {defineErrors} from '@hivemind/contracts';

export const joiningErrors = defineErrors({
  'join-needed': {status: 422, title: 'This machine is not in a cluster yet'},
  'authority-mismatch': {status: 409, title: 'This is not the cluster that the token is of'},
  'insecure-join': {status: 422, title: 'A join off this machine needs https'},
  'identity-damaged': {status: 500, title: 'The identity of this machine cannot be read'},
  'identity-conflict': {status: 409, title: 'The data dir is of another node or cluster'},
  'gateway-absent': {status: 503, title: 'The gateway does not answer', retryable: true},
  'gateway-unknown': {status: 502, title: 'What answers is no gateway of Hivemind'},
});
