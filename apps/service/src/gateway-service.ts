/** A gateway as a service of its own: any number of them share one admin token, and pass requests to the managers' services. */
import {createGateway, sharedTokenHash, transportFor, type TlsMode} from '@hivemind/gateway';
import {destroyAgents, Directory, renewAgents, upstreamAgents} from '@hivemind/gateway/remote';
import {createCallerSigner, registerInstance, type ListenAddress, type ManagerContext} from '@hivemind/service';
import {catalogue, type ManagerEntry} from './catalogue.ts';
import type {RunningService} from './manager-service.ts';
import {advertised, gatewayCredentials, renewServer, urlOf} from './transport.ts';
import {version} from '@hivemind/contracts/version';

export interface GatewayServiceOptions {
  readonly context: ManagerContext;
  readonly listen: ListenAddress;
  readonly advertise?: string | undefined;
  readonly tls?: TlsMode;
}

/** Resolves when it serves. */
export async function startGatewayService({context, listen, advertise, tls = 'auto'}: GatewayServiceOptions): Promise<RunningService> {
  const {store, instance, now, dataDir} = context;
  const logger = context.logger.child({service: 'gateway', instance});
  const ended = new AbortController();
  const undo: (() => unknown)[] = [() => ended.abort()];
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
    const {host} = advertised(listen, 0, advertise);
    const credentials = await gatewayCredentials({context, host, logger});
    undo.push(() => credentials.stop());
    const agents = upstreamAgents(credentials.tls);
    undo.push(() => destroyAgents(agents));
    const directory = new Directory({store, logger, now, signal: ended.signal});
    const signer = createCallerSigner(instance, now);
    const secure = transportFor(listen, tls) === 'tls';
    const managers = Object.entries(catalogue).map(([name, {segments, open = []}]: [string, ManagerEntry]) => ({name, segments, open}));
    const gateway = await createGateway({
      context: {...context, logger}, version, listen,
      managers: [],
      remote: {managers, directory, signer, agents},
      adminTokenHash: await sharedTokenHash({dataDir, store, logger, now}),
      busDriver: 'nats',
      ...(secure ? {tls: credentials.tls} : {}),
    });
    undo.push(() => gateway.stop());
    credentials.onRenewal((renewed) => {
      renewAgents(agents, renewed);
      renewServer(gateway.http, renewed);
    });
    await directory.ready();
    // Before it answers: a service that is asked looks its key up there.
    const {port} = new URL(await gateway.listen());
    const url = urlOf(advertised(listen, Number(port), advertise), secure);
    const registration = registerInstance({store, logger: context.logger, record: {service: 'gateway', instance, url, version, startedAt: new Date(now()).toISOString(), signingKey: signer.publicKey}});
    undo.push(() => registration.stop());
    await registration.registered;
    logger.info({url}, 'the gateway is ready');
    return {name: 'gateway', instance, url, stop};
  } catch (error) {
    await stop();
    throw error;
  }
}
