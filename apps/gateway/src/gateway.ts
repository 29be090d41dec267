/**
 * The one door to a cluster: it knows the token, hosts the managers' routes under /api/v1, and adds those that belong to
 * no manager (status, events, batch, login).
 */
import {randomBytes} from 'node:crypto';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {commonErrors} from '@hivemind/contracts';
import {answerFresh, createHttp, honourIdempotencyKeys, hostPort, isWildcard, listenOn, stopHttp, type HttpServer, type ListenAddress, type Manager, type ManagerContext, type TlsOptions} from '@hivemind/service';
import * as z from 'zod';
import {loginRoute, requireToken, tokenCheck} from './auth.ts';
import {batchRoute} from './batch.ts';
import {eventRoutes} from './events.ts';
import {transportFor} from './listen.ts';
import type {RemoteManagers} from './proxy.ts';
import {statusRoute} from './status.ts';

export interface GatewayOptions {
  readonly context: ManagerContext;
  /** Hosted in this process. They are started and stopped by whoever made them. */
  readonly managers: readonly Manager[];
  /** Services of their own, which requests are passed to. */
  readonly remote?: RemoteManagers;
  /** `tokenHash` of the admin token. */
  readonly adminTokenHash: string;
  /** Of this release. */
  readonly version: string;
  readonly listen: ListenAddress;
  /** What it is served with where others can reach it; without, it is served in the clear, and `/status` says so. */
  readonly tls?: TlsOptions;
  readonly busDriver?: 'embedded' | 'nats';
  /** Other processes write the store too. */
  readonly sharesStore?: boolean;
  /** What is not ready yet, in words; empty when all is. */
  readonly ready?: () => readonly string[] | Promise<readonly string[]>;
}

export interface Gateway {
  readonly http: HttpServer;
  /** Answers the URL. Rejects with `address-in-use`, `invalid-listen`. */
  listen(): Promise<string>;
  /** Ends event streams, finishes requests in hand (at most `drainMs`, default 10 s), closes. */
  stop(drainMs?: number): Promise<void>;
}

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const {context, managers, remote, adminTokenHash, version, listen, ready} = options;
  const logger = context.logger.child({manager: 'gateway'});
  const isRight = tokenCheck(adminTokenHash);
  const ended = new AbortController();
  const transport = transportFor(listen, options.tls ? 'auto' : 'off');
  const tls = transport === 'tls' ? options.tls : undefined;
  const http = createHttp({
    name: 'API', version, logger,
    metrics: context.metrics,
    ...(ready ? {ready} : {}),
    ...(tls ? {tls: {certificate: tls.certificate, key: tls.key}} : {}),
    ...(remote ? {documents: async () => (await import('./remote-documents.ts')).documentsOf(remote, logger)} : {}),
  });
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
      tls: transport,
      managers: [...managers, ...(remote?.managers ?? [])].map(({name}) => name),
      services: () => [...(remote?.directory.all() ?? [])],
    });
    eventRoutes(api, {context});
    batchRoute(http, api, randomBytes(16).toString('hex'));
    // Each in a scope of its own: the hooks and parsers of one are not the others'.
    for (const manager of managers) {
      await api.register(async (scope: HttpServer) => {
        if (ready) refuseUntil(scope, ready);
        if (options.sharesStore === true) answerFresh(scope, {store: context.store, signal: ended.signal});
        await manager.routes(scope);
      });
    }
    if (remote) await (await import('./proxy.ts')).proxyRoutes(http, api, remote);
  }, {prefix: '/api/v1'});
  return {
    http,
    async listen() {
      const port = await listenOn(http, listen);
      const urlAt = (host: string): string => `${tls ? 'https' : 'http'}://${hostPort({host, port})}`;
      await tellCommand(context.dataDir, urlAt(isWildcard(listen) ? '127.0.0.1' : listen.host));
      return urlAt(listen.host);
    },
    stop: (drainMs) => stopHttp(http, drainMs).finally(() => ended.abort()),
  };
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

/** Where the command finds the API of this data dir, when it is not told. */
async function tellCommand(dataDir: string, url: string): Promise<void> {
  await writeFile(join(dataDir, 'api.url'), `${url}\n`, {mode: 0o644});
}
