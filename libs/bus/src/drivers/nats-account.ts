/** Telling NATS servers in operator mode what an account's claims are now: who was revoked. */
import type {ConnectionOptions} from 'nats';
import * as z from 'zod';
import {busErrors} from '../errors.ts';
import type {CredentialSource} from './nats.ts';
import {jwtAuthenticator} from './nats-authenticator.ts';
import {translate} from './nats-errors.ts';
import {checkedTls} from './nats-tls.ts';

export interface PushAccountOptions {
  readonly servers: string | string[];
  readonly tls?: ConnectionOptions['tls'];
  /** Of a user of the system account. */
  readonly credentials: ReturnType<CredentialSource['current']>;
  readonly jwt: string;
}

const Answer = z.object({data: z.object({code: z.number()}).optional(), error: z.object({description: z.string().optional()}).optional()});
const PUSH_MS = 5_000;

/**
 * Pushes it, and waits until a server has it. Users whose key it revokes are disconnected then.
 * @throws `disconnected`, `timeout`, `not-permitted`
 */
export async function pushAccount({servers, tls, credentials, jwt}: PushAccountOptions): Promise<void> {
  const {default: {connect}} = await import('nats');
  const where = `NATS at ${String(servers)}`;
  try {
    const connection = await connect({servers, reconnect: false, timeout: PUSH_MS, ...checkedTls(tls, servers), authenticator: jwtAuthenticator(() => credentials)});
    try {
      const answer = Answer.parse(JSON.parse((await connection.request('$SYS.REQ.CLAIMS.UPDATE', jwt, {timeout: PUSH_MS})).string()));
      if (answer.data?.code !== 200) throw busErrors['not-permitted'](`${where} refuses the account's claims: ${answer.error?.description ?? 'it does not say why'}.`);
    } finally {
      await connection.close();
    }
  } catch (error) {
    throw translate(error, where);
  }
}
