/** Every error of the scheduler. */
import {commonErrors, defineErrors} from '@hivemind/contracts';

export const errors = defineErrors({
  'container-not-found': {status: 404, title: 'Container not found'},
  'not-supported': commonErrors.definitions['not-supported'],
});
