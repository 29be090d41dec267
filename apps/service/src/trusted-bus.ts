/** The bus in operator mode, as a control service connects to it: it holds the account's key, and makes its own credentials. */
import {connectNatsBus, type Bus, type BusLogger} from '@hivemind/bus';
import {collections} from '@hivemind/contracts';
import type {Store} from '@hivemind/store';
import {openClusterTrust, serviceCredentials} from '@hivemind/trust';

export interface BusAccess {
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** `tls://HOST:PORT`, or `nats://` on loopback. */
  readonly servers: readonly string[];
  readonly trusted: {readonly store: Store; readonly cluster: string; readonly clusterKey: () => Promise<Buffer>};
  readonly logger: BusLogger;
}

/** Whether this cluster's bus asks who one is. */
export async function hasBusTrust(store: Store): Promise<boolean> {
  return (await store.get(collections.clusterTrust.name, 'bus')) !== undefined;
}

/**
 * What ends the renewal of its credentials is put on `undo`.
 * @throws `cluster-key-missing`, `cluster-key-mismatch` 503; `disconnected`, `not-permitted`
 */
export async function connectTrustedBus({name, servers, trusted: {store, cluster, clusterKey}, logger}: BusAccess, undo: (() => unknown)[]): Promise<Bus> {
  const {authority, bus: trust} = await openClusterTrust({store, cluster, clusterKey: await clusterKey(), now: Date.now()});
  const credentials = await serviceCredentials(trust, {name});
  undo.push(() => credentials.stop());
  return connectNatsBus({
    servers: [...servers], name, logger, credentials,
    ...(servers.some((url) => url.startsWith('tls:')) ? {tls: {ca: authority.certificate}} : {}),
  });
}
