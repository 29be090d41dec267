/** HTTP to registries: by Node's own client, which streams without copies and takes an authority for each host. */
import {once} from 'node:events';
import {request as requestHttp, type IncomingMessage} from 'node:http';
import {request as requestHttps} from 'node:https';
import {errnoOf} from '../errno.ts';

/** A registry that sends nothing for so long is given up, unless what it sent is not read. */
const SILENCE_MS = 60_000;
const MOST_REDIRECTS = 5;
const CREDENTIALS = ['authorization'];

export interface Question {
  readonly headers: Readonly<Record<string, string>>;
  /** Certificates (PEM) of the authority that this host (and port) is believed by; Node's own list where undefined. */
  readonly authorityOf: (host: string) => string | undefined;
  readonly signal: AbortSignal;
}

/**
 * The answer to a GET, its body not read yet: whoever asks reads or destroys it. Redirects are followed, never from TLS into the
 * clear, and credentials go to no other host.
 * @throws what the network says, by `code`
 */
export async function get(url: URL, question: Question, redirects = 0): Promise<IncomingMessage> {
  const {headers, authorityOf, signal} = question;
  const ca = authorityOf(url.host);
  const asked = url.protocol === 'https:' ? requestHttps(url, {headers, signal, timeout: SILENCE_MS, ...(ca === undefined ? {} : {ca})}) : requestHttp(url, {headers, signal, timeout: SILENCE_MS});
  let arrived: IncomingMessage | undefined;
  asked.once('response', (response) => (arrived = response));
  asked.once('socket', (socket) => {
    const silent = (): void => {
      // Where this machine is what is slow, the silence is its own.
      if (arrived && arrived.readableLength > 0) socket.setTimeout(SILENCE_MS);
      else asked.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`));
    };
    socket.on('timeout', silent);
    // Sockets are used again.
    asked.once('close', () => socket.off('timeout', silent));
  });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  // What comes after the headers shows where the body is read.
  asked.on('error', (error) => response.destroy(error));
  const {location} = response.headers;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(response.statusCode ?? 0)) return response;
  response.destroy();
  const next = new URL(location, url);
  if (redirects >= MOST_REDIRECTS) throw new Error(`it sends from place to place (${next.origin})`);
  if (next.protocol !== 'https:' && next.protocol !== url.protocol) throw new Error(`it sends to ${next.origin}, which is not safe`);
  const kept = next.origin === url.origin ? headers : Object.fromEntries(Object.entries(headers).filter(([name]) => !CREDENTIALS.includes(name)));
  return get(next, {...question, headers: kept}, redirects + 1);
}

/** Whether asking again would not help: the certificate is not one that is believed. */
export function isMistrust(error: unknown): boolean {
  return /^(CERT|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(errnoOf(error) ?? '');
}

export function speaksNoTls(error: unknown): boolean {
  return /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)/.test(errnoOf(error) ?? '');
}

/** What came, up to `most` bytes. @throws RangeError when there is more */
export async function bodyOf(response: IncomingMessage, most: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > most) throw new RangeError(`more than ${most} bytes`);
    parts.push(part);
  }
  if (!response.complete) throw new Error('the connection ended early');
  return Buffer.concat(parts);
}
