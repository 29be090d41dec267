/** Errors of volumes. */
import {defineErrors} from '@hivemind/contracts';

export const storageErrors = defineErrors({
  'volume-not-found': {status: 404, title: 'Volume not found'},
  'volume-exists': {status: 409, title: 'The volume exists already'},
  'volume-in-use': {status: 409, title: 'The volume is used'},
  'volume-elsewhere': {status: 409, title: 'The data of the volume is on another machine'},
  'volume-node-unavailable': {status: 503, title: 'The machine with the data does not answer', retryable: true},
  'volume-not-lost': {status: 409, title: 'The data of the volume is not lost'},
  'host-path-unavailable': {status: 422, title: 'A directory of the machine cannot be used'},
});
