/** What the command itself can fail with. Everything else is said by the server, or by reading files. */
import {defineErrors} from '@hivemind/contracts';

export const cliErrors = defineErrors({
  'wrong-usage': {status: 400, title: 'The command was used wrongly'},
  'server-absent': {status: 503, title: 'Hivemind does not answer'},
  'not-hivemind': {status: 502, title: 'Something else than Hivemind answers'},
  'connection-lost': {status: 503, title: 'The connection to Hivemind was lost'},
  'not-trusted': {status: 502, title: 'The server cannot be trusted'},
  'not-done': {status: 504, title: 'It was not done in time'},
  'failed': {status: 500, title: 'It failed'},
});

/** Exit status of wrong usage; 1 is for everything that was understood and failed. */
export const WRONG_USAGE = 2;

/** Exit status of an agent whose machine was removed: to start it again as it is would be of no use. */
export const NODE_REMOVED = 3;

/** `ENOENT` and its like, of what Node throws. */
export function systemCode(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
