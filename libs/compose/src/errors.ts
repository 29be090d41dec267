/** Errors of reading Compose files and manifests. Each carries a field error for every wrong place, with file, line and column. */
import {defineErrors} from '@hivemind/contracts';

export const composeErrors = defineErrors({
  'file-missing': {status: 404, title: 'A file is not there'},
  'yaml-malformed': {status: 400, title: 'The file is not valid YAML'},
  'compose-invalid': {status: 422, title: 'The Compose file is not valid'},
  'manifest-invalid': {status: 422, title: 'The manifest is not valid'},
});
