/** `POST /batch`: up to 100 requests in one, made in order and in process. Each has its own answer; there is no rollback. */
import {commonErrors} from '@hivemind/contracts';
import {problemOf, type HttpServer} from '@hivemind/service';
import * as z from 'zod';
import {gatewayErrors} from './errors.ts';

const MAX_REQUESTS = 100;
/** ms for each request. */
const TIMEOUT_MS = 30_000;
/** Marks a request as part of a batch; a token of this process, so that nobody outside can send it. */
const MARK = 'x-hivemind-batch';

const Method = z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);
const BatchBody = z.array(z.strictObject({
  method: Method,
  path: z.string().max(8192).regex(/^\/api\/v1\/[\x21-\x7e]+$/, 'is not a path of this API: begin it with /api/v1/, and escape spaces and letters outside ASCII'),
  body: z.unknown().optional(),
  /** Version for If-Match. */
  ifMatch: z.number().int().nonnegative().optional(),
})).min(1).max(MAX_REQUESTS);
const BatchReply = z.array(z.object({status: z.number(), etag: z.string().optional(), location: z.string().optional(), body: z.unknown()}));

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its answer does not end by itself, or it makes requests of its own: it cannot be part of a batch. */
    streams?: boolean;
  }
}

/** `root` is the server that answers the requests; `api` takes the route. `mark` is unguessable. */
export function batchRoute(root: HttpServer, api: HttpServer, mark: string): void {
  root.addHook('onRequest', async (request) => {
    if (request.headers[MARK] === mark && request.routeOptions.config.streams === true) {
      throw gatewayErrors['not-in-batch'](`${request.method} ${request.routeOptions.url ?? request.url} cannot be part of a batch: send it on its own.`);
    }
  });
  api.post('/batch', {config: {streams: true}, schema: {summary: 'Up to 100 requests in one', tags: ['gateway'], body: BatchBody, response: {200: BatchReply}}}, async (request) => {
    const {authorization} = request.headers;
    const traceparent = `00-${request.id}-${request.id.slice(0, 16)}-01`;
    const answers: z.infer<typeof BatchReply> = [];
    for (const {method, path, body, ifMatch} of request.body) {
      const headers = {
        [MARK]: mark,
        traceparent,
        ...(authorization === undefined ? {} : {authorization}),
        ...(ifMatch === undefined ? {} : {'if-match': `"${ifMatch}"`}),
        ...(body === undefined ? {} : {'content-type': 'application/json'}),
      };
      answers.push(await answer(root, {method, url: path, headers, ...(body === undefined ? {} : {payload: JSON.stringify(body)})}, request.id));
    }
    return answers;
  });
}

async function answer(root: HttpServer, request: {method: z.infer<typeof Method>; url: string; headers: Record<string, string>; payload?: string}, traceId: string): Promise<z.infer<typeof BatchReply>[number]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const reply = await root.inject({...request, signal});
    const {etag, location} = reply.headers;
    return {status: reply.statusCode, ...(etag === undefined ? {} : {etag: String(etag)}), ...(location === undefined ? {} : {location: String(location)}), body: bodyOf(reply.payload, String(reply.headers['content-type'] ?? ''))};
  } catch (err) {
    if (!signal.aborted) root.log.error({err, traceId}, 'a request of a batch failed');
    const problem = signal.aborted
      ? gatewayErrors['batch-timeout'](`${request.method} ${request.url} took longer than ${TIMEOUT_MS / 1000} s. It may still have had its effect.`)
      : commonErrors.internal('Something broke here. The log has the cause under this traceId.');
    return {status: problem.status, body: problemOf(problem, traceId)};
  }
}

function bodyOf(payload: string, type: string): unknown {
  return payload === '' ? null : /\bjson\b/.test(type) ? JSON.parse(payload) : payload;
}
