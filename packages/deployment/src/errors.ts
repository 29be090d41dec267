/** Errors of the deployment manager. */
import {defineErrors} from '@hivemind/contracts';

export const errors = defineErrors({
  'deployment-not-found': {status: 404, title: 'Deployment not found'},
  'deployment-finished': {status: 409, title: 'The deployment is not in progress'},
  'deployment-superseded': {status: 409, title: 'A newer deployment has taken over'},
  'nothing-to-roll-back-to': {status: 409, title: 'There is no earlier revision'},
});
