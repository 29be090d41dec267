/** One manager as a service of its own: its subjects on the bus, its routes for gateways alone, its place in the directory. */
import type {TLSSocket} from 'node:tls';
import {answerFresh, createHttp, honourIdempotencyKeys, listenOn, registerInstance, requireCaller, serviceErrors, stopHttp, type CreateManager, type HttpServer, type ListenAddress, type Manager, type ManagerContext} from '@hivemind/service';
import {advertised, needsTls, openCredentials, renewServer, urlOf} from './transport.ts';
import {version} from '@hivemind/contracts/version';

export interface ManagerServiceOptions {
  readonly name: string;
  readonly create: CreateManager;
  readonly context: ManagerContext;
  readonly listen: ListenAddress;
  readonly advertise?: string | undefined;
}

export interface RunningService {
  readonly name: string;
  readonly instance: string;
  /** Where others reach it. */
  readonly url: string;
  /** Leaves the directory, finishes what is in hand, leaves queue groups and elections. */
  stop(): Promise<void>;
}

/** ms for gateways to hear that an instance left, before it stops taking requests. */
const LEAVE_MS = 200;

/** Resolves when it serves and others can find it. */
export async function startManagerService({name, create, context, listen, advertise}: ManagerServiceOptions): Promise<RunningService> {
  const {store, instance, now} = context;
  const logger = context.logger.child({service: name, instance});
  const undo: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) {
      try {
        await step();
      } catch (err) {
        logger.warn({err}, 'something did not stop as it should');
      }
    }
  };
  try {
    const host = advertised(listen, 0, advertise);
    const credentials = needsTls(listen) ? await openCredentials({context, name, hosts: [host.host], logger}) : undefined;
    if (credentials) undo.push(() => credentials.stop());
    const waiting = new Set([`the ${name} manager is starting`]);
    const manager = create({...context, logger});
    const http = createHttp({name, version, logger, metrics: context.metrics, ready: () => [...waiting, ...lostBus(context)], ...(credentials ? {tls: credentials.tls} : {})});
    if (credentials) requireGateway(http);
    credentials?.onRenewal((tls) => renewServer(http, tls));
    requireCaller(http, {store, service: name, now});
    honourIdempotencyKeys(http, context);
    const ended = new AbortController();
    undo.push(() => ended.abort());
    await mount(http, manager, (scope) => answerFresh(scope, {store, signal: ended.signal}));
    undo.push(() => manager.stop());
    undo.push(() => stopHttp(http));
    const port = await listenOn(http, listen);
    await manager.start();
    waiting.clear();
    const url = urlOf(advertised(listen, port, advertise), credentials !== undefined);
    const registration = registerInstance({store, logger: context.logger, record: {service: name, instance, url, version, startedAt: new Date(now()).toISOString()}});
    undo.push(async () => {
      await registration.stop();
      await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
    });
    await registration.registered;
    logger.info({url}, `the ${name} service is ready`);
    return {name, instance, url, stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

async function mount(http: HttpServer, manager: Manager, prepare: (scope: HttpServer) => void): Promise<void> {
  await http.register(async (scope: HttpServer) => {
    prepare(scope);
    await manager.routes(scope);
  }, {prefix: '/api/v1'});
}

/** Over TLS only a gateway's certificate opens more than liveness and metrics: those are for whoever watches the machine. */
function requireGateway(http: HttpServer): void {
  http.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open === true || request.routeOptions.url === '/metrics') return;
    const socket = request.raw.socket as Partial<TLSSocket>;
    if (socket.authorized !== true || socket.getPeerCertificate?.().subject?.CN !== 'gateway') throw serviceErrors['caller-unknown']('This service answers to gateways of its own cluster alone.');
  });
}

const lost = new WeakMap<object, boolean>();

/** Words for a bus that is away; its requests then reach other instances. */
function lostBus({bus}: ManagerContext): readonly string[] {
  if (!lost.has(bus)) {
    lost.set(bus, false);
    bus.onStatus((status) => lost.set(bus, status === 'disconnected'));
  }
  return lost.get(bus) === true ? ['the bus is not connected'] : [];
}
