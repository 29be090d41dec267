/** The OpenAPI documents of the services: each manager tells its own, as whichever instance is asked has it. */
import {request as httpRequest, type IncomingMessage} from 'node:http';
import {request as httpsRequest} from 'node:https';
import {CALLER_HEADER, OpenApiDocument, type OtherDocuments} from '@hivemind/service';
import type {Logger} from 'pino';
import type {RemoteManagers} from './proxy.ts';

const PATH = '/openapi.json';
/** ms for each document. */
const TIMEOUT_MS = 5_000;
/** Characters of a refusal that the log has. */
const LONGEST_TOLD = 500;

/** Those of the managers that answer, and who else there is. */
export async function documentsOf(remote: RemoteManagers, logger: Pick<Logger, 'warn'>): Promise<OtherDocuments> {
  const missing: string[] = [];
  const found = await Promise.all(remote.managers.map(({name}) => askTwice(remote, name).catch((err: unknown) => {
    logger.warn({err, service: name}, 'a service did not tell what it answers');
    missing.push(name);
  })));
  return {documents: found.filter((document) => document !== undefined), missing: missing.toSorted()};
}

/** Who is asked again is another instance, where there is one. */
async function askTwice(remote: RemoteManagers, service: string): Promise<OpenApiDocument> {
  const {instance, url} = remote.directory.next(service);
  try {
    return await documentOf(remote, service, url);
  } catch {
    const other = remote.directory.all().find((each) => each.service === service && each.instance !== instance);
    return documentOf(remote, service, other?.url ?? url);
  }
}

async function documentOf({signer, agents}: RemoteManagers, service: string, url: string): Promise<OpenApiDocument> {
  const headers = {[CALLER_HEADER]: signer.sign({service, method: 'GET', url: PATH, caller: {name: 'gateway'}})};
  const secure = url.startsWith('https:');
  const {promise, resolve, reject} = Promise.withResolvers<IncomingMessage>();
  (secure ? httpsRequest : httpRequest)(new URL(PATH, url), {headers, agent: agents[secure ? 'https:' : 'http:'], signal: AbortSignal.timeout(TIMEOUT_MS)}).once('response', resolve).once('error', reject).end();
  const chunks: Buffer[] = [];
  const reply = await promise;
  for await (const chunk of reply) chunks.push(Buffer.from(chunk));
  const body = Buffer.concat(chunks).toString('utf8');
  if (reply.statusCode !== 200) throw new Error(`it answered ${reply.statusCode}: ${body.slice(0, LONGEST_TOLD)}`);
  return OpenApiDocument.parse(JSON.parse(body));
}
