/** Errors of services and names. */
import {defineErrors} from '@hivemind/contracts/define-errors';

export const discoveryErrors = defineErrors({
  'service-not-found': {status: 404, title: 'Service not found'},
  'range-invalid': {status: 422, title: 'Virtual IPs cannot be taken from this range'},
  'ingress-not-found': {status: 404, title: 'Ingress not found'},
  'ingress-exists': {status: 409, title: 'An ingress of this name exists'},
  'ingress-conflict': {status: 409, title: 'Another ingress, or an app, claims the same'},
  'ingress-unusable': {status: 422, title: 'The ingress has a rule that can never decide'},
  'certificate-unusable': {status: 422, title: 'The certificate cannot be used'},
  'names-held': {status: 503, title: 'The store was lost or rewound, and is not adopted', retryable: true},
});
