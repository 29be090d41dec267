/** The OpenAPI documents of the services: each manager tells its own, as whichever instance is asked has it. */
import {request as httpRequest, type IncomingMessage} from 'node:http';
import {request as httpsRequest} from 'node:https';
import {CALLER_HEADER, OpenApiDocument} from '@hivemind/service';
import type {Logger} from 'pino';
import type {RemoteManagers} from './proxy.ts';

const PATH = '/openapi.json';
/** ms for each document. */
const TIMEOUT_MS = 5_000;

/** Those of the managers that answer; the others are left out, and the log says which. */
export async function documentsOf(remote: RemoteManagers, logger: Pick<Logger, 'warn'>): Promise<readonly OpenApiDocument[]> {
  const answers = await Promise.allSettled(remote.managers.map(({name}) => documentOf(remote, name)));
  return answers.flatMap((answer, index) => {
    if (answer.status === 'fulfilled') return [answer.value];
    logger.warn({err: answer.reason, service: remote.managers[index]?.name}, 'a service did not tell what it answers');
    return [];
  });
}

async function documentOf({directory, signer, agents}: RemoteManagers, service: string): Promise<OpenApiDocument> {
  const {url} = directory.next(service);
  const headers = {[CALLER_HEADER]: signer.sign({service, method: 'GET', url: PATH, caller: {name: 'gateway'}})};
  const secure = url.startsWith('https:');
  const {promise, resolve, reject} = Promise.withResolvers<IncomingMessage>();
  (secure ? httpsRequest : httpRequest)(new URL(PATH, url), {headers, agent: agents[secure ? 'https:' : 'http:'], signal: AbortSignal.timeout(TIMEOUT_MS)}).once('response', resolve).once('error', reject).end();
  const chunks: Buffer[] = [];
  for await (const chunk of await promise) chunks.push(Buffer.from(chunk));
  return OpenApiDocument.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
