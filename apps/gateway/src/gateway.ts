/**
 * The one door to a cluster: it knows the token, hosts the managers' routes under /api/v1, and adds those that belong to
 * no manager (status, events, batch, login).
 */
import {randomBytes} from 'node:crypto';
import {commonErrors} from '@hivemind/contracts';
import {createHttp, honourIdempotencyKeys, stopHttp, type HttpServer, type Manager, type ManagerContext} from '@hivemind/service';
import {z} from 'zod';
import {loginRoute, requireToken, tokenCheck} from './auth.ts';
import {batchRoute} from './batch.ts';
import {gatewayErrors, systemErrorCode} from './errors.ts';
import {eventRoutes} from './events.ts';
import {checkListen, isLoopback, type ListenAddress, type TlsMode} from './listen.ts';
import {statusRoute} from './status.ts';

export interface GatewayOptions {
  readonly context: ManagerContext;
  /** Hosted in this process. They are started and stopped by whoever made them. */
  readonly managers: readonly Manager[];
  readonly adminToken: string;
  /** Of this release. */
  readonly version: string;
  readonly listen: ListenAddress;
  /** `off` allows to listen off loopback in the clear; default `auto`, which refuses that. */
  readonly tls?: TlsMode;
  readonly busDriver?: 'embedded' | 'nats';
  /** What is not ready yet, in words; empty when all is. */
  readonly ready?: () => readonly string[] | Promise<readonly string[]>;
}

export interface Gateway {
  readonly http: HttpServer;
  /** Answers the URL. Rejects with `address-in-use`. */
  listen(): Promise<string>;
  /** Ends event streams, finishes requests in hand (at most `drainMs`, default 10 s), closes. */
  stop(drainMs?: number): Promise<void>;
}

/** @throws `tls-required` when it were to listen off loopback without TLS */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const {context, managers, adminToken, version, listen, tls = 'auto', ready} = options;
  checkListen(listen, tls);
  const logger = context.logger.child({manager: 'gateway'});
  const isRight = tokenCheck(adminToken);
  const http = createHttp({name: 'API', version, logger, metrics: context.metrics, ...(ready ? {ready} : {})});
  requireToken(http, isRight);
  honourIdempotencyKeys(http, context);
  http.get('/', {config: {internal: true}}, async (_request, reply) => reply.redirect('/docs'));
  await http.register(async (api: HttpServer) => {
    loginRoute(api, isRight);
    versionRoute(api, version, context.cluster);
    statusRoute(api, {
      context, version,
      startedAt: new Date(context.now()).toISOString(),
      busDriver: options.busDriver ?? 'embedded',
      tls: isLoopback(listen) ? 'loopback' : 'off',
      managers: managers.map(({name}) => name),
    });
    eventRoutes(api, {context});
    batchRoute(http, api, randomBytes(16).toString('hex'));
    // Each in a scope of its own: the hooks and parsers of one are not the others'.
    for (const manager of managers) {
      await api.register(async (scope: HttpServer) => {
        if (ready) refuseUntil(scope, ready);
        await manager.routes(scope);
      });
    }
  }, {prefix: '/api/v1'});
  return {http, listen: () => listenOn(http, listen), stop: (drainMs) => stopHttp(http, drainMs)};
}

/** A manager that has not read the store yet would answer that there is nothing. */
function refuseUntil(scope: HttpServer, ready: NonNullable<GatewayOptions['ready']>): void {
  scope.addHook('onRequest', async () => {
    const waiting = await ready();
    if (waiting.length > 0) throw commonErrors.unavailable(`Not ready yet: ${waiting.join('; ')}.`);
  });
}

function versionRoute(api: HttpServer, version: string, cluster: string): void {
  const reply = z.object({version: z.string(), api: z.literal('v1'), cluster: z.string(), node: z.string()});
  api.get('/version', {schema: {summary: 'What answers here', tags: ['gateway'], response: {200: reply}}}, async () => ({version, api: 'v1' as const, cluster, node: process.version}));
}

async function listenOn(http: HttpServer, {host, port}: ListenAddress): Promise<string> {
  try {
    await http.listen({host, port});
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined) throw error;
    if (code === 'EADDRINUSE') throw gatewayErrors['address-in-use'](`Something else listens on ${host}:${port}. Stop it, or choose another with --listen HOST:PORT.`, {cause: error});
    throw gatewayErrors['invalid-listen'](`${host}:${port} cannot be listened on (${code}). Choose an address of this machine, and a port above 1023 unless you are root.`, {cause: error});
  }
  const bound = http.server.address();
  return `http://${host.includes(':') ? `[${host}]` : host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`;
}
