import {defineErrors} from '@hivemind/contracts';

export const hostErrors = defineErrors({
  'unknown-service': {status: 400, title: 'There is no such service'},
  'not-shared': {status: 422, title: 'Services apart need a store and a bus that they can share'},
  'advertise-needed': {status: 422, title: 'Others need an address to reach this service at'},
  'other-cluster': {status: 409, title: 'The store is another cluster\'s'},
  'nats-server-missing': {status: 503, title: 'There is no nats-server'},
  'nats-server-failed': {status: 503, title: 'nats-server does not serve'},
  'data-dir-damaged': {status: 500, title: 'The data dir cannot be read'},
});
