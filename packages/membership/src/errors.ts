/** Errors of the ring, its keys and its leader. */
import {defineErrors} from '@hivemind/contracts/define-errors';

export const membershipErrors = defineErrors({
  'key-invalid': {status: 422, title: 'The gossip key is not valid'},
  'key-unknown': {status: 404, title: 'The gossip key is not installed'},
  'key-in-use': {status: 409, title: 'The gossip key is in use'},
  'no-keyring': {status: 409, title: 'The ring has no keys'},
  'join-failed': {status: 503, title: 'No member of the ring answered', retryable: true},
  'address-in-use': {status: 409, title: 'The address is in use'},
  'member-invalid': {status: 422, title: 'The member cannot be so'},
  'metadata-too-large': {status: 422, title: 'The metadata is too large'},
  'announcement-invalid': {status: 422, title: 'The announcement is not valid'},
  'member-not-found': {status: 404, title: 'Member not found'},
  'no-leader': {status: 503, title: 'Nobody leads now', retryable: true},
});
