import {busErrors} from '../errors.ts';

/** NATS's errors as the bus's. */
export function translate(error: unknown, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case '503':
      return busErrors['no-responders'](`Nobody serves ${what} now.`);
    case 'TIMEOUT':
      return busErrors.timeout(`${what} did not answer in time.`, {cause: error});
    case 'CONNECTION_CLOSED':
    case 'CONNECTION_DRAINING':
      return busErrors.closed('The bus was closed.', {cause: error});
    case 'MAX_PAYLOAD_EXCEEDED':
      return busErrors['too-large'](`${what} is more than the NATS server takes (max_payload).`, {cause: error});
    case 'PERMISSIONS_VIOLATION':
      return busErrors['not-permitted'](`The credentials of this connection do not permit ${what}.`, {cause: error});
    case 'AUTHORIZATION_VIOLATION':
    case 'AUTHENTICATION_EXPIRED':
      return busErrors['not-permitted'](`${what} refuses the credentials.`, {cause: error});
    case 'CONNECTION_REFUSED':
    case 'CONNECTION_TIMEOUT':
    case 'DISCONNECT':
      return busErrors.disconnected(`${what} cannot be reached.`, {cause: error});
    default:
      return error;
  }
}
