/** Errors of the network. */
import {defineErrors} from '@hivemind/contracts';

export const networkErrors = defineErrors({
  'network-not-found': {status: 404, title: 'Network not found'},
  'network-fixed': {status: 422, title: 'The network of the cluster cannot be made or removed'},
  'node-unknown': {status: 404, title: 'The node is not registered'},
  'subnets-exhausted': {status: 422, title: 'No addresses are left for another machine'},
  'range-unusable': {status: 422, title: 'This range cannot be used for containers'},
  'range-in-use': {status: 422, title: 'Machines hold addresses outside the range'},
  'machine-unable': {status: 503, title: 'The machine cannot have the network', retryable: true},
  'addresses-exhausted': {status: 422, title: 'The machine has no address left for another container'},
  'network-unknown': {status: 503, title: 'The machine does not know its network yet', retryable: true},
  'network-renumbering': {status: 503, title: 'The machine is to have other addresses', retryable: true},
  'policy-not-found': {status: 404, title: 'Network policy not found'},
  'policy-exists': {status: 409, title: 'A network policy of this name exists'},
  'policy-unusable': {status: 422, title: 'The policy has a rule that can never decide'},
  'policies-unenforced': {status: 422, title: 'Nothing would enforce the policy'},
  'policies-held': {status: 503, title: 'Policies wait for the cluster to be adopted', retryable: true},
  'backend-unsupported': {status: 422, title: 'This way of carrying packets cannot be had'},
});
