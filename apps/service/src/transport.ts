/** How a service is reached: in the clear on loopback, else over TLS with a certificate of the cluster's own authority. */
import {writeFile} from 'node:fs/promises';
import {isIP} from 'node:net';
import {hostname, networkInterfaces} from 'node:os';
import {join} from 'node:path';
import {Server as TlsServer} from 'node:tls';
import {hostPort, isLoopback, isWildcard, parseListen, type HttpServer, type ListenAddress, type ManagerContext, type TlsOptions} from '@hivemind/service';
import {issueCertificate, openClusterAuthority, renewAt} from '@hivemind/trust';
import type {Logger} from 'pino';
import {hostErrors} from './errors.ts';

/** Longest timer, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const RENEW_RETRY_MS = 3_600_000;

/** A certificate and what is trusted, kept fresh. */
export interface Credentials {
  readonly tls: TlsOptions & {readonly ca: string};
  /** Told of each new certificate. */
  onRenewal(use: (tls: TlsOptions) => void): void;
  stop(): void;
}

export interface CredentialsOptions {
  readonly context: Pick<ManagerContext, 'store' | 'cluster' | 'clusterKey' | 'now'>;
  /** In the certificate: `gateway`, or a manager's name. */
  readonly name: string;
  /** IP addresses and host names it is reached at. */
  readonly hosts: readonly string[];
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** @throws `cluster-key-missing`, `cluster-key-mismatch`, `cluster-key-invalid` 503 */
export async function openCredentials({context, name, hosts, logger}: CredentialsOptions): Promise<Credentials> {
  const {store, cluster, now} = context;
  const issue = async (): Promise<Credentials['tls']> => {
    const clusterKey = await context.clusterKey?.();
    if (!clusterKey) throw new TypeError('a service off loopback needs the cluster key');
    const authority = await openClusterAuthority({store, clusterKey, cluster, now: now()});
    const {certificate, key} = await issueCertificate(authority, {name, addresses: hosts.filter((host) => isIP(host) !== 0), dns: hosts.filter((host) => isIP(host) === 0), now: now()});
    return {certificate, key, ca: authority.certificate};
  };
  const listeners: ((tls: TlsOptions) => void)[] = [];
  const tls = await issue();
  let timer: NodeJS.Timeout;
  const schedule = (ms: number): void => {
    timer = setTimeout(() => void renew(), Math.min(Math.max(ms, 0), MAX_TIMER_MS)).unref();
  };
  const renew = async (): Promise<void> => {
    try {
      const next = await issue();
      for (const use of listeners) use(next);
      logger.info({name}, 'the certificate was renewed');
      schedule(renewAt(next.certificate) - now());
    } catch (err) {
      logger.warn({err}, 'the certificate could not be renewed; it will be tried again');
      schedule(RENEW_RETRY_MS);
    }
  };
  schedule(renewAt(tls.certificate) - now());
  return {tls, onRenewal: (use) => void listeners.push(use), stop: () => clearTimeout(timer)};
}

export interface GatewayCredentialsOptions {
  readonly context: CredentialsOptions['context'] & Pick<ManagerContext, 'dataDir'>;
  /** Where it listens, or is said to be reached. */
  readonly host: string;
  readonly logger: CredentialsOptions['logger'];
}

/** Of a gateway, by any name that people may use for its machine; `ca.crt` in the data dir is what they trust. */
export async function gatewayCredentials({context, host, logger}: GatewayCredentialsOptions): Promise<Credentials> {
  const hosts = [...new Set([host, ...ownHosts()])].filter((name) => !isWildcard({host: name}));
  const credentials = await openCredentials({context, name: 'gateway', hosts, logger});
  await writeFile(join(context.dataDir, 'ca.crt'), credentials.tls.ca, {mode: 0o644});
  return credentials;
}

function ownHosts(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []).map(({address}) => address.split('%')[0] ?? address);
  return ['localhost', '127.0.0.1', '::1', hostname(), ...addresses];
}

/** From now on a server shows this certificate; connections that are open stay. */
export function renewServer({server}: HttpServer, {certificate: cert, key, ca}: TlsOptions): void {
  if (server instanceof TlsServer) server.setSecureContext({cert, key, ...(ca === undefined ? {} : {ca})});
}

/**
 * Where others reach a service that listens on `listen`: `--advertise` with or without a port, else where it listens.
 * @throws `advertise-needed` 422 where that is every address of the machine
 */
export function advertised(listen: ListenAddress, boundPort: number, advertise: string | undefined): ListenAddress {
  if (advertise === undefined) {
    if (isWildcard(listen)) throw hostErrors['advertise-needed'](`${hostPort(listen)} is every address of this machine: say with --advertise HOST[:PORT] at which one other services reach it.`);
    return {host: listen.host, port: boundPort};
  }
  const isBare = isIP(advertise) !== 0 || !advertise.includes(':');
  return isBare ? {host: advertise, port: boundPort} : parseListen(advertise);
}

export const needsTls = (listen: ListenAddress): boolean => !isLoopback(listen);

export const urlOf = (address: ListenAddress, tls: boolean): string => `${tls ? 'https' : 'http'}://${hostPort(address)}`;
