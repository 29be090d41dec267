/**
 * Managers that are services of their own: their routes, passed to the instances there are, in turn. Who is calling goes
 * along signed; the token does not. A request that an instance cannot have acted upon, or that has the same effect when it is
 * sent twice, goes to another one when the first is gone.
 */
import type {IncomingHttpHeaders} from 'node:http';
import {CALLER_HEADER, type CallerSigner, type HttpServer} from '@hivemind/service';
import type {FastifyReply, FastifyRequest} from 'fastify';
import type {Directory} from './directory.ts';
import {gatewayErrors, systemErrorCode} from './errors.ts';
import {Tunnels} from './tunnel.ts';
import type {Agents} from './upstream.ts';

export interface RemoteManager {
  readonly name: string;
  /** What it answers: the first segments after /api/v1. */
  readonly segments: readonly string[];
  /** Routes that need no token, as in `POST /nodes/join`. */
  readonly open?: readonly string[];
}

export interface RemoteManagers {
  readonly managers: readonly RemoteManager[];
  readonly directory: Directory;
  readonly signer: CallerSigner;
  readonly agents: Agents;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Bodies that are held, so that they can be sent again; whatever else comes is passed on as it comes. */
const HELD_TYPES = ['application/json', 'application/merge-patch+json', 'application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];
/** The request never reached the instance. */
const UNREACHED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL']);
/** Each request says its own; this one is never asked. */
const NO_UPSTREAM = 'http://service.invalid';
/** Nobody on the other side knows the token that the caller gave to this one. */
const KEPT_BACK = ['authorization', CALLER_HEADER, 'cookie'] as const;

/** Adds the routes of `remote.managers` to `api`, whose prefix is /api/v1. `root` is the server that it belongs to. */
export async function proxyRoutes(root: HttpServer, api: HttpServer, remote: RemoteManagers): Promise<void> {
  const {default: proxy} = await import('@fastify/http-proxy');
  const tunnels = new Tunnels(root, remote.agents);
  for (const manager of remote.managers) {
    const forwarding = new Forwarding(manager.name, remote, tunnels);
    await api.register(async (scope: HttpServer) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(HELD_TYPES, {parseAs: 'buffer'}, async (_request: unknown, body: Buffer) => (body.length === 0 ? undefined : body));
      scope.addContentTypeParser('*', (_request: unknown, payload: NodeJS.ReadableStream, done: (error: null, body: unknown) => void) => done(null, payload));
      const shared = {
        upstream: '',
        rewritePrefix: '/api/v1',
        replyOptions: {getUpstream: () => NO_UPSTREAM},
        proxyPayloads: false,
        disableRequestLogging: true,
        http: {agents: remote.agents, requestOptions: {timeout: 0}},
        handler: (request: FastifyRequest, reply: FastifyReply, target: string, options: object) => forwarding.send(request, reply, target, options),
      };
      for (const route of manager.open ?? []) {
        const [method = '', url = ''] = route.split(' ');
        await scope.register(proxy, {...shared, httpMethods: [method], routes: [url], config: {proxied: true, open: true}});
      }
      await scope.register(proxy, {...shared, httpMethods: METHODS, routes: manager.segments.flatMap((segment) => [`/${segment}`, `/${segment}/*`]), config: {proxied: true}});
    });
  }
}

/** Requests to one manager's instances. */
class Forwarding {
  readonly #service: string;
  readonly #remote: RemoteManagers;
  readonly #tunnels: Tunnels;

  constructor(service: string, remote: RemoteManagers, tunnels: Tunnels) {
    this.#service = service;
    this.#remote = remote;
    this.#tunnels = tunnels;
  }

  /** @throws `no-instance`, `instance-lost` 503 */
  send(request: FastifyRequest, reply: FastifyReply, target: string, options: object, tried: ReadonlySet<string> = new Set()): unknown {
    const {directory} = this.#remote;
    const {instance, url} = directory.next(this.#service, tried);
    const failed = (error: Error): void => {
      const code = systemErrorCode(error.cause) ?? systemErrorCode(error);
      request.log.warn({service: this.#service, instance, code, traceId: request.id}, 'an instance did not answer');
      directory.suspect(instance);
      if (reply.sent) return;
      try {
        if (!mayBeSentAgain(request, code)) throw gatewayErrors['instance-lost'](`The instance of the ${this.#service} manager that was asked went away. The request may still have had its effect: look before you send it again.`, {retryAfterMs: 1000});
        this.send(request, reply, target, options, new Set([...tried, instance]));
      } catch (error_) {
        void reply.send(error_);
      }
    };
    const headersOf = (_request: unknown, headers: IncomingHttpHeaders): IncomingHttpHeaders => this.#headers(request, headers);
    if (this.#tunnels.isUpgrade(request)) return this.#tunnels.open(request, reply, url, this.#headers(request, request.headers), failed);
    const body = Buffer.isBuffer(request.body) ? {body: request.body, contentType: request.headers['content-type']} : {};
    return reply.from(target, {...options, ...body, getUpstream: () => url, rewriteRequestHeaders: headersOf, retryDelay: () => null, onError: (_reply: unknown, {error}: {error: Error}) => failed(error)});
  }

  #headers(request: FastifyRequest, given: IncomingHttpHeaders): IncomingHttpHeaders {
    const headers = {...given};
    for (const name of KEPT_BACK) delete headers[name];
    const {name} = request.caller ?? {name: 'anonymous'};
    return {
      ...headers,
      traceparent: `00-${request.id}-${request.id.slice(0, 16)}-01`,
      [CALLER_HEADER]: this.#remote.signer.sign({service: this.#service, method: request.method, url: request.url, caller: {name}}),
    };
  }
}

/** Whether another instance may be asked: nobody has seen it yet, or seeing it twice makes no difference. */
function mayBeSentAgain({method, headers, body}: FastifyRequest, code: string | undefined): boolean {
  const isHeld = body === undefined || body === null || Buffer.isBuffer(body);
  if (!isHeld) return false;
  if (code !== undefined && UNREACHED.has(code)) return true;
  if (headers['if-match'] !== undefined) return false;
  return method === 'GET' || method === 'PUT' || method === 'DELETE' || (method === 'POST' && headers['idempotency-key'] !== undefined);
}
