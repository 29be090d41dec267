/** Every error the store answers with. Codes are stable; `unavailable` and `closed` are worth another try elsewhere or later. */
import {commonErrors, defineErrors} from '@hivemind/contracts';

export const storeErrors = defineErrors({
  'unavailable': commonErrors.definitions.unavailable,
  'too-large': commonErrors.definitions['too-large'],
  'invalid-input': commonErrors.definitions['invalid-input'],
  'already-exists': commonErrors.definitions['already-exists'],
  'version-mismatch': commonErrors.definitions['version-mismatch'],
  /** The watch cannot go on without a gap: list again, then watch from that list's revision. */
  'compacted': {status: 410, title: 'That revision is no longer in the change log', retryable: true},
  'lease-expired': {status: 409, title: 'The lease has ended'},
  'fenced': {status: 409, title: 'Another leader has taken over'},
  'closed': {status: 503, title: 'The store is closed'},
  'store-locked': {status: 503, title: 'The store is open in another process'},
  'unreadable-record': {status: 500, title: 'A stored record cannot be read'},
  'weak-persistence': {status: 500, title: 'Redis would lose acknowledged writes'},
  'store-not-empty': {status: 409, title: 'The store to import into is not empty'},
  'invalid-export': {status: 422, title: 'The export cannot be read'},
});
