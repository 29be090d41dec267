/**
 * A machine's words with a gateway before it has a credential. Nothing that matters is sent before the cluster's authority
 * is known to be the one that the token names; from then on only what that authority vouches for is spoken to.
 */
import {request as httpRequest} from 'node:http';
import {request as httpsRequest} from 'node:https';
import {AuthorityReply, CredentialsReply, type CredentialsRequest, ErrorBody, HivemindError, JoinReply, type JoinRequest} from '@hivemind/contracts';
import {authorityHash} from '@hivemind/trust/node';
import type * as z from 'zod';
import {joiningErrors} from './join-errors.ts';

const ANSWER_MS = 10_000;
const MOST_BYTES = 262_144;
const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Where a gateway is, without a slash at its end.
 * @throws `insecure-join` 422 for http to another machine, and for what is no URL
 */
export function gatewayUrl(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw joiningErrors['insecure-join'](`"${text}" is not where a gateway is: write https://HOST:4483.`);
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) throw joiningErrors['insecure-join'](`${url.origin} would carry the token and keys in the clear: write https://${url.host}.`);
  return url.origin;
}

/**
 * The certificate of the authority of the cluster behind `url`, when it is the one that the token names.
 * @throws `authority-mismatch` 409, `gateway-absent` 503, `gateway-unknown` 502
 */
export async function trustedAuthority(url: string, hash: string): Promise<string> {
  const {ca} = await ask(url, 'GET', '/nodes/authority', undefined, AuthorityReply, undefined);
  if (hashOf(ca) !== hash) throw joiningErrors['authority-mismatch'](`What answers at ${url} is not the cluster that this token is of, or somebody is between. Nothing was sent to it. Is the URL right?`);
  return ca;
}

/** @throws what the control plane answers; `gateway-absent`, `gateway-unknown` */
export function askToJoin(url: string, ca: string, body: JoinRequest): Promise<JoinReply> {
  return ask(url, 'POST', '/nodes/join', body, JoinReply, ca);
}

/** @throws `node-removed` 403 and others of the control plane; `gateway-absent`, `gateway-unknown` */
export function askForCredentials(url: string, ca: string, node: string, body: CredentialsRequest): Promise<CredentialsReply> {
  return ask(url, 'POST', `/nodes/${encodeURIComponent(node)}/credentials`, body, CredentialsReply, ca);
}

function hashOf(ca: string): string | undefined {
  try {
    return authorityHash(ca);
  } catch {
    return undefined;
  }
}

/** Without `ca` nobody is trusted, and nothing but the question is sent. */
async function ask<S extends z.ZodType>(url: string, method: 'GET' | 'POST', path: string, body: object | undefined, schema: S, ca: string | undefined): Promise<z.output<S>> {
  const {status, text} = await exchange(`${url}/api/v1${path}`, method, body, ca).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code?.startsWith('ERR_TLS') === true || /certificate|self-signed|altname/i.test(cause.message) ? `does not prove to be of this cluster (${cause.message})` : `does not answer (${cause.code ?? cause.message})`;
    throw joiningErrors['gateway-absent'](`${url} ${what}.`, {cause});
  });
  const answer = parse(text);
  if (status >= 400) {
    const problem = ErrorBody.safeParse(answer);
    if (problem.success) throw HivemindError.fromBody(problem.data);
  }
  const parsed = schema.safeParse(answer);
  if (status >= 400 || !parsed.success) throw joiningErrors['gateway-unknown'](`${url} does not answer as a gateway of Hivemind does (HTTP ${status}). Is the URL right?`);
  return parsed.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function exchange(url: string, method: string, body: object | undefined, ca: string | undefined): Promise<{status: number; text: string}> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const trust = ca === undefined ? {rejectUnauthorized: false} : {ca};
    const options = {method, agent: false, signal: AbortSignal.timeout(ANSWER_MS), ...trust, headers: body ? {'content-type': 'application/json'} : {}};
    const request = send(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MOST_BYTES) request.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => resolve({status: response.statusCode ?? 0, text})).on('error', reject);
    });
    request.on('error', reject).end(body ? JSON.stringify(body) : undefined);
  });
}
