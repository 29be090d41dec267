/** What a service answers on its own account, before any manager is asked. */
import {defineErrors} from '@hivemind/contracts';

export const serviceErrors = defineErrors({
  'route-not-found': {status: 404, title: 'There is no such route'},
  'method-not-allowed': {status: 405, title: 'The route does not take this method'},
  'unsupported-media-type': {status: 415, title: 'The body is in a format that is not read here'},
  'headers-too-large': {status: 431, title: 'The headers are too large'},
  'idempotency-mismatch': {status: 409, title: 'The Idempotency-Key was used for another request'},
  'idempotency-in-progress': {status: 409, title: 'The first request with this Idempotency-Key is still being answered', retryable: true},
  'invalid-listen': {status: 422, title: 'Not an address to listen on'},
  'address-in-use': {status: 409, title: 'Something else listens on this address'},
  'caller-unknown': {status: 401, title: 'Requests come through a gateway'},
});
