/** Every failure as problem+json (RFC 9457), in one shape and without a stack. */
import {commonErrors, HivemindError, type ErrorBody} from '@hivemind/contracts';
import type {FastifyReply, FastifyRequest} from 'fastify';
import type {Logger} from 'pino';
import {serviceErrors} from './errors.ts';

export interface Problem extends Omit<ErrorBody, 'retryAfterMs' | 'retryable'> {
  /** `urn:hivemind:error:<code>`. */
  readonly type: string;
  readonly traceId: string;
}

/** Seconds that a client should wait after a 503 that names no time of its own. */
const DEFAULT_RETRY_AFTER_S = 1;

export function problemOf(error: HivemindError, traceId: string): Problem {
  const {code, title, status, detail, errors} = error.toBody();
  return {type: `urn:hivemind:error:${code}`, title, status, code, detail, ...(errors ? {errors} : {}), traceId};
}

/** Answers `thrown`. What is not a HivemindError is logged with its stack, and only its trace id is told. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const error = toHivemindError(thrown);
  if (error.code === 'internal') logger.error({err: thrown, traceId: request.id, method: request.method, route: request.routeOptions.url}, 'request failed');
  if (error.retryAfterMs !== undefined || error.status === 503) {
    void reply.header('retry-after', error.retryAfterMs === undefined ? DEFAULT_RETRY_AFTER_S : Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  }
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.code(error.status).type('application/problem+json; charset=utf-8').send(JSON.stringify(problemOf(error, request.id)));
}

function toHivemindError(thrown: unknown): HivemindError {
  if (thrown instanceof HivemindError) return thrown.status >= 400 && thrown.status < 600 ? thrown : commonErrors.internal(internalDetail);
  const {code, statusCode} = fastifyError(thrown);
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return commonErrors['too-large']('The body is larger than 1 MiB. Split it, or mount large files from a volume.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return serviceErrors['unsupported-media-type']('Send application/json or application/yaml, and name it in Content-Type.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return commonErrors.malformed('The body does not have the length that Content-Length says.');
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_ASYNC_CONSTRAINT':
      return commonErrors.malformed('The URL cannot be decoded: check its % escapes.');
    default:
      if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return commonErrors.malformed('The request could not be read.');
      return commonErrors.internal(internalDetail);
  }
}

const internalDetail = 'Something broke here. The log has the cause under this traceId.';

function fastifyError(thrown: unknown): {code?: string; statusCode?: number} {
  if (!(thrown instanceof Error)) return {};
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  const statusCode = 'statusCode' in thrown && typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
  return {code, statusCode};
}
