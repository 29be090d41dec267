/** The collections this manager owns, and those it reads. */
import {carries, CLUSTER_NETWORK, collections, ingressPorts, resourceKey} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';
import {same} from '../core/derive.ts';

export const services = collection(collections.services);
export const endpoints = collection(collections.endpoints);
export const settings = collection(collections.discoverySettings);
export const ingresses = collection(collections.ingresses);
/** The app manager's; read alone. */
export const hostPorts = collection(collections.hostPorts);

export type Tables = ReturnType<typeof openTables>;

const appOf = ({namespace, app}: {readonly namespace: string; readonly app: string}): string => resourceKey(namespace, app);

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  const tables = {
    services: informer({...follow, collection: services, indexes: {virtualIp: ({virtualIp}) => (virtualIp === undefined ? [] : [virtualIp]), waiting: ({headless, virtualIp}) => (headless || virtualIp !== undefined ? [] : ['waiting']), published: ({published = []}) => published.map(({port, protocol}) => `${protocol}/${port}`), unpublished: ({conditions}) => (conditions.some(({type}) => type === 'Published') ? ['unpublished'] : [])}}),
    endpoints: informer({...follow, collection: endpoints, indexes: {service: ({namespace, service}) => [resourceKey(namespace, service)]}}),
    settings: informer({...follow, collection: settings}),
    ingresses: informer({...follow, collection: ingresses, indexes: {port: ({spec}) => ingressPorts(spec).map(({port}) => `tcp/${port}`)}}),
    apps: informer({...follow, collection: collection(collections.apps), indexes: {domain: ({spec}) => (spec.service?.domain === undefined ? [] : [spec.service.domain]), hostPort: ({spec}) => spec.ports.flatMap(({host, protocol}) => (typeof host === 'number' && host > 0 ? [`${protocol}/${host}`] : []))}}),
    rollouts: informer({...follow, collection: collection(collections.rollouts), indexes: {app: (rollout) => [appOf(rollout)]}}),
    containers: informer({...follow, collection: collection(collections.containers), indexes: {app: (record) => [appOf(record)], node: ({node}) => [node]}}),
    statuses: informer({...follow, collection: collection(collections.containerStatus)}),
    nodes: informer({...follow, collection: collection(collections.nodes)}),
    verdicts: informer({...follow, collection: collection(collections.nodeVerdicts)}),
    networks: informer({...follow, collection: collection(collections.networks)}),
    /** Whether the store is known to be the cluster's own, unrewound (law 12). */
    adoption: informer({...follow, collection: collection(collections.cluster)}),
  };
  return {...tables, ready: async () => void (await Promise.all(Object.values(tables).map((table) => table.ready())))};
}

/** Machines lead published ports to containers themselves: else the engines do, each to its own. */
export function areMachinesPublishing({networks}: Pick<Tables, 'networks'>): boolean {
  return carries(networks.get(CLUSTER_NETWORK)?.value.spec);
}

/** Calls `wake` with the key of each service that a change bears on; answers how to stop. */
export function onServiceChange(tables: Tables, wake: (key: string) => void): () => void {
  const wakeWaiting = (): void => {
    for (const {key} of tables.services.byIndex('waiting', 'waiting')) wake(key);
  };
  const stops = [
    tables.apps.onChange((key, before, after) => {
      wake(key);
      for (const domain of new Set([before, after].map((app) => app?.value.spec.service?.domain))) {
        if (domain !== undefined) for (const claimant of tables.apps.byIndex('domain', domain)) wake(claimant.key);
      }
    }),
    ...[tables.rollouts, tables.containers, tables.statuses].map((table) => table.onChange((_key, before, after) => {
      const record = (after ?? before)?.value;
      if (record) wake(appOf(record));
    })),
    tables.verdicts.onChange((node, before, after) => {
      if ((before?.value.state ?? 'ready') === (after?.value.state ?? 'ready')) return;
      for (const {value} of tables.containers.byIndex('node', node)) wake(appOf(value));
    }),
    // An address has become free, or there are more of them.
    tables.services.onChange((_key, before, after) => {
      if (before?.value.virtualIp !== undefined && after?.value.virtualIp === undefined) wakeWaiting();
    }),
    tables.settings.onChange(wakeWaiting),
    // A port of the machines may have become free.
    tables.services.onChange((_key, before, after) => {
      if (before?.value.published === undefined || same(before.value.published, after?.value.published)) return;
      for (const {key} of tables.services.byIndex('unpublished', 'unpublished')) wake(key);
    }),
    tables.networks.onChange(() => {
      for (const {key} of tables.apps.list()) wake(key);
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
