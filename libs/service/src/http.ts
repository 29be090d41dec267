/**
 * The HTTP server of every service: strict input through zod, problem+json for every failure, traces, logs, metrics,
 * liveness and readiness, an OpenAPI document. A manager adds its routes and throws HivemindErrors; the rest is here.
 */
import {commonErrors, parseInput} from '@hivemind/contracts';
import fastify, {LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, type RawServerDefault, type RouteOptions} from 'fastify';
import type {ZodTypeProvider} from 'fastify-type-provider-zod';
import type {IncomingMessage, RequestListener, Server, ServerResponse} from 'node:http';
import type {Socket} from 'node:net';
import type {Logger} from 'pino';
import type {Registry} from 'prom-client';
import * as z from 'zod';
import {readBodies} from './body.ts';
import {type OpenApiDocument, type OtherDocuments, withPaths} from './openapi-document.ts';
import {httpMetrics} from './http-metrics.ts';
import {unfoldManifest} from './manifest.ts';
import {problemOf, sendProblem} from './problem.ts';
import {RouteTable} from './routes.ts';
import {traceIdOf} from './trace.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    open?: boolean;
    /** Not in the OpenAPI document, and logged at debug. */
    internal?: boolean;
    /** Another service answers it, and documents it: what it takes is not checked here. */
    proxied?: boolean;
  }
  interface FastifySchema {
    /** For the OpenAPI document. */
    summary?: string;
    description?: string;
    tags?: readonly string[];
  }
}

/** A Fastify instance whose handlers are typed by their zod schemas. */
export type HttpServer = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface HttpOptions {
  /** Of the service, for the log and the title of its document. */
  readonly name: string;
  readonly version?: string;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** Bytes; default 1 MiB. */
  readonly bodyLimit?: number;
  /** What is not ready yet, in words; empty when all is. Default: always ready. */
  readonly ready?: () => readonly string[] | Promise<readonly string[]>;
  /** Served over TLS with these; default: in the clear. */
  readonly tls?: TlsOptions;
  /** Documents of other services, to be part of this one's. */
  readonly documents?: () => Promise<OtherDocuments>;
}

/** PEM. With `ca` a client may show a certificate of it (`authorized` of its socket then says whether it did). */
export interface TlsOptions {
  readonly certificate: string;
  readonly key: string;
  readonly ca?: string;
}

const DEFAULT_BODY_LIMIT = 1024 * 1024;
const MAX_PARAM_LENGTH = 512;
const KEEP_ALIVE_MS = 72_000;
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

const NoQuery = z.strictObject({});
const NoBody = z.strictObject({}).optional();
const partNames: Readonly<Record<string, string>> = {body: 'The body', querystring: 'The query', params: 'The path', headers: 'The headers'};

export function createHttp(options: HttpOptions): HttpServer {
  const {logger, bodyLimit = DEFAULT_BODY_LIMIT} = options;
  const routes = new RouteTable();
  const app = bareServer(logger, bodyLimit, options.tls);
  const metrics = httpMetrics(options.metrics);

  trackSockets(app);
  endRefusedUpgrades(app);
  readBodies(app);
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, logger));
  app.setNotFoundHandler((request, reply) => {
    const refusal = routes.refusal(request.method, request.url);
    if (refusal.allow !== undefined) void reply.header('allow', refusal.allow);
    return sendProblem(refusal, request, reply, logger);
  });
  app.addHook('onRoute', (route) => {
    beStrict(route);
    routes.add(route);
  });
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-trace-id', request.id);
  });
  app.addHook('preValidation', async (request) => unfoldManifest(request));
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.observe(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
    logRequest(logger, request, reply.statusCode, reply.elapsedTime);
  });
  commonRoutes(app, routes, options);
  return app;
}

function bareServer(logger: Logger, bodyLimit: number, tls: TlsOptions | undefined): HttpServer {
  const loggerInstance: FastifyBaseLogger = logger;
  const app = fastify({
    loggerInstance,
    logController: new LogController({disableRequestLogging: true}),
    childLoggerFactory: (parent) => parent,
    genReqId: (request) => traceIdOf(request.headers.traceparent),
    requestIdHeader: false,
    bodyLimit,
    exposeHeadRoutes: false,
    routerOptions: {maxParamLength: MAX_PARAM_LENGTH},
    forceCloseConnections: 'idle',
    ...(tls ? {serverFactory: (handler: RequestListener) => tlsServer(tls, handler)} : {}),
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply, logger),
    clientErrorHandler(error, socket) {
      // What arrived is not HTTP, or its headers are too large: there is no request to answer with the usual means.
      const problem = JSON.stringify(problemOf(commonErrors.malformed('This is not a HTTP request that can be read.'), traceIdOf(undefined)));
      if (socket.writable && error.code !== 'ECONNRESET') {
        socket.end(`HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(problem)}\r\nconnection: close\r\n\r\n${problem}`);
      } else socket.destroy();
    },
    // Given here so that Fastify does not load its own compilers (Ajv), which nothing uses; those below take their place.
    schemaController: {compilersFactory: {buildValidator: () => unusedCompiler, buildSerializer: () => unusedCompiler}},
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler<unknown>(({schema, httpPart}) => (data: unknown) => ({value: parsePart(schema, data, httpPart)}));
  app.setSerializerCompiler(() => (data: unknown) => JSON.stringify(data));
  return app;
}

function tlsServer({certificate: cert, key, ca}: TlsOptions, handler: RequestListener): Server {
  // Loaded where TLS is served: loopback needs none of it.
  const server = process.getBuiltinModule('node:https').createServer({cert, key, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : {ca, requestCert: true, rejectUnauthorized: false})}, handler);
  // As Fastify has it where it makes the server itself: longer than any client keeps a connection that nothing uses.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

function unusedCompiler(): never {
  throw new Error('The zod compilers are not in place.');
}

function parsePart(schema: unknown, data: unknown, httpPart: string | undefined): unknown {
  if (!(schema instanceof z.ZodType)) throw new TypeError('A route schema is not a zod schema.');
  const what = partNames[httpPart ?? ''] ?? 'The request';
  if (httpPart !== 'body' || data != null) return parseInput(schema, data, what);
  const empty = schema.safeParse(undefined);
  if (empty.success) return empty.data;
  throw commonErrors.malformed('This route needs a body: send it as application/json or application/yaml.');
}

/** Law 14: a query or body that a route did not ask for is refused, not ignored. */
function beStrict(route: RouteOptions): void {
  if (route.config?.proxied === true) return;
  const takesBody = [route.method].flat().some((method) => WITH_BODY.has(method));
  route.schema = {querystring: NoQuery, ...(takesBody ? {body: NoBody} : {}), ...route.schema};
}

function commonRoutes(app: HttpServer, routes: RouteTable, {name, version = '0.0.0', metrics, ready = () => [], documents}: HttpOptions): void {
  const internal = {config: {internal: true}};
  const open = {config: {internal: true, open: true}};
  app.get('/livez', open, async () => ({status: 'live'}));
  app.get('/readyz', open, async () => {
    const waiting = await ready();
    if (waiting.length > 0) throw commonErrors.unavailable(`Not ready yet: ${waiting.join('; ')}.`);
    return {status: 'ready'};
  });
  app.get('/metrics', internal, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  // Nothing else is done while it is made, and it is the same ever after.
  let own: Promise<OpenApiDocument> | undefined;
  const document = async (): Promise<OpenApiDocument> => {
    own ??= import('./openapi.ts').then(({openApiDocument}) => openApiDocument(routes.all(), {name, version}));
    const [document, others] = await Promise.all([own, documents?.()]);
    return others === undefined ? document : withPaths(document, others);
  };
  app.get('/openapi.json', internal, document);
  app.get('/docs', internal, async (_request, reply) => {
    const {docsPage} = await import('./docs.ts');
    return reply.type('text/html; charset=utf-8').send(docsPage(await document()));
  });
}

/** One event a request: never its query, headers or body, which may hold a secret. */
function logRequest(logger: Logger, request: FastifyRequest, status: number, elapsedMs: number): void {
  const event = {traceId: request.id, method: request.method, path: request.url.split('?', 1)[0], status, ms: Math.round(elapsedMs * 10) / 10};
  if (status >= 500) logger.warn(event, 'request');
  else if (request.routeOptions.config.internal === true) logger.debug(event, 'request');
  else logger.info(event, 'request');
}

/** Sockets of each server: those that were asked to change protocol, Node itself no longer counts. */
const openSockets = new WeakMap<object, Set<Socket>>();

function trackSockets(app: HttpServer): void {
  const sockets = new Set<Socket>();
  openSockets.set(app.server, sockets);
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
}

/**
 * A request to change protocol that was answered instead (a refusal, or no such route) leaves a socket that nobody reads
 * from any more: without an end it would stay open for as long as the client likes, token or not.
 */
function endRefusedUpgrades(app: HttpServer): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.headers.upgrade !== undefined) void reply.header('connection', 'close');
    return payload;
  });
  app.addHook('onResponse', async (request) => {
    if (request.headers.upgrade !== undefined) request.raw.socket.end();
  });
}

/**
 * Stops taking requests and waits for those in hand; what is still open after `drainMs` is cut off.
 * Streams that would never end are ended by whoever serves them, in a `preClose` hook.
 */
export async function stopHttp(app: HttpServer, drainMs = 10_000): Promise<void> {
  const cut = setTimeout(() => {
    for (const socket of openSockets.get(app.server) ?? []) socket.destroy();
  }, drainMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}
