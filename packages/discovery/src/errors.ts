/** Errors of services and names. */
import {defineErrors} from '@hivemind/contracts/define-errors';

export const discoveryErrors = defineErrors({
  'service-not-found': {status: 404, title: 'Service not found'},
  'range-invalid': {status: 422, title: 'Virtual IPs cannot be taken from this range'},
  'names-held': {status: 503, title: 'The store was lost or rewound, and is not adopted', retryable: true},
});
