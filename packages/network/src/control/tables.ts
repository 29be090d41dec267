/** The collections this manager owns, and those that it reads: machines, services and who is behind them. */
import {CLUSTER_NETWORK, collections, DISCOVERY_SETTINGS_KEY, DiscoverySettings, NetworkSpec, type SubnetsRecord} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';
import {noSubnets} from '../core/subnets.ts';

export const networks = collection(collections.networks);
export const subnets = collection(collections.subnets);
export const nodes = collection(collections.nodes);
export const policies = collection(collections.networkPolicies);
export const services = collection(collections.services);
export const endpoints = collection(collections.endpoints);
/** Key of the addresses of version 4. */
export const IPV4 = 'ipv4';

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    networks: informer({...follow, collection: networks}),
    subnets: informer({...follow, collection: subnets}),
    nodes: informer({...follow, collection: nodes}),
    policies: informer({...follow, collection: policies}),
    /** Which apps there are, and who is behind them: policies speak of both. */
    services: informer({...follow, collection: services}),
    endpoints: informer({...follow, collection: endpoints}),
    discoverySettings: informer({...follow, collection: collection(collections.discoverySettings)}),
    cluster: informer({...follow, collection: collection(collections.cluster)}),
  };
}

export async function whenReady(tables: Tables): Promise<void> {
  await Promise.all(Object.values(tables).map((table) => table.ready()));
}

/** Until somebody has decided. */
const undecided = NetworkSpec.parse({backend: 'none'});

export function specOf({networks: table}: Pick<Tables, 'networks'>): NetworkSpec {
  return table.get(CLUSTER_NETWORK)?.value.spec ?? undecided;
}

export function subnetsOf({subnets: table}: Pick<Tables, 'subnets'>): SubnetsRecord {
  return table.get(IPV4)?.value ?? noSubnets;
}

/** The range that services get their virtual IPs of. Discovery's. */
export function virtualIpsOf({discoverySettings: table}: Pick<Tables, 'discoverySettings'>): string {
  return (table.get(DISCOVERY_SETTINGS_KEY)?.value ?? DiscoverySettings.parse({})).virtualIps;
}
