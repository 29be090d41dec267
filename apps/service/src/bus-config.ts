/** Makes ready what a nats-server of this cluster's bus starts with; the trust of a cluster that is not there yet is made first. */
import {chmod, mkdir} from 'node:fs/promises';
import {isIP} from 'node:net';
import {hostPort, isWildcard, parseListen, type ListenAddress} from '@hivemind/service';
import {openRedisStore} from '@hivemind/store';
import {clusterKeyFile, hasTrust, issueCertificate, openClusterKey, openClusterTrust, writeBusServer} from '@hivemind/trust';
import {hostErrors} from './errors.ts';
import {sharedIdentity} from './identity.ts';

export interface BusConfigOptions {
  /** `redis://`, `rediss://` or `redis-sentinel://`, as services are given it. */
  readonly store: string;
  readonly allowWeakPersistence?: boolean;
  /** As of a service: with the cluster key, where `HIVEMIND_CLUSTER_KEY_FILE` names no other file. */
  readonly dataDir: string;
  /** Absolute; made when missing, mode 0700. */
  readonly dir: string;
  /** As in `BusServerOptions`. */
  readonly accounts?: string | undefined;
  /** `HOST:PORT`. */
  readonly listen: string;
  /** Names and addresses by which others reach it; the first is the one that they are told. */
  readonly advertise: readonly string[];
  /** `HOST:PORT` where it speaks with the other servers of the bus, and those of theirs that it calls. */
  readonly peers?: {readonly listen: string; readonly routes: readonly string[]} | undefined;
}

/**
 * Answers where services find the bus. Safe to repeat: everything is as before, and the certificate new.
 * @throws `advertise-needed`, `invalid-listen` 422; `other-cluster`; `cluster-key-missing`, `cluster-key-mismatch` 503; what the store
 * says when it is not reached
 */
export async function configureBus({store: url, allowWeakPersistence, dataDir, dir, accounts, listen, advertise, peers}: BusConfigOptions): Promise<{readonly url: string}> {
  const [client, between] = [parseListen(listen), peers === undefined ? undefined : parseListen(peers.listen)];
  const routes = (peers?.routes ?? []).map((route) => hostPort(parseListen(route)));
  const [host] = advertise;
  if (host === undefined && [client, between].some((address) => address !== undefined && isWildcard(address))) {
    throw hostErrors['advertise-needed'](`${hostPort(client)} is every address of this machine: say with --advertise HOST at which one others reach it.`);
  }
  const reached = ({host: own, port}: ListenAddress): string => hostPort({host: host ?? own, port});
  await Promise.all([dataDir, dir].map((path) => mkdir(path, {recursive: true, mode: 0o700})));
  await chmod(dataDir, 0o700);
  const now = Date.now();
  const store = await openRedisStore({url, ...(allowWeakPersistence === undefined ? {} : {allowWeakPersistence})});
  try {
    const cluster = await sharedIdentity({store, dataDir, now});
    const clusterKey = await openClusterKey(clusterKeyFile(dataDir, process.env), () => hasTrust(store));
    const {authority, bus: trust} = await openClusterTrust({store, clusterKey, cluster, now});
    const hosts = [...new Set([...advertise, ...[client, between].flatMap((address) => (address === undefined || isWildcard(address) ? [] : [address.host])), '127.0.0.1', 'localhost'])];
    const issued = await issueCertificate(authority, {name: 'nats', addresses: hosts.filter((name) => isIP(name) !== 0), dns: hosts.filter((name) => isIP(name) === 0), now});
    await writeBusServer({
      trust, dir, listen: hostPort(client), advertise: reached(client), tls: {...issued, ca: authority.certificate},
      ...(accounts === undefined ? {} : {accounts}),
      ...(between === undefined ? {} : {peers: {name: `hivemind-${cluster}`, listen: hostPort(between), advertise: reached(between), routes}}),
    });
  } finally {
    await store.close();
  }
  return {url: `tls://${reached(client)}`};
}
