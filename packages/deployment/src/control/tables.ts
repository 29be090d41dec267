/** The manager's view of the store: what it follows, and the one collection that it writes. */
import {carries, CLUSTER_NETWORK, collections, type AppRecord, type AppRevision, type ContainerRecord, type ContainerStatusRecord, type NetworkRecord, type NodeRecord, type NodeStatusRecord, type NodeVerdict, type Rollout} from '@hivemind/contracts';
import {collection, informer, type Informer, type Store} from '@hivemind/store';

export const rollouts = collection(collections.rollouts);

/** Key of the app that a record belongs to. */
const appKey = (record: {readonly namespace: string; readonly app: string}): string => `${record.namespace}/${record.app}`;

export interface Tables {
  readonly apps: Informer<AppRecord, 'global'>;
  readonly revisions: Informer<AppRevision, 'app'>;
  readonly containers: Informer<ContainerRecord, 'app' | 'node'>;
  readonly statuses: Informer<ContainerStatusRecord, 'app'>;
  readonly rollouts: Informer<Rollout, 'app'>;
  readonly nodes: Informer<NodeRecord>;
  readonly verdicts: Informer<NodeVerdict>;
  readonly networks: Informer<NetworkRecord>;
  readonly nodeStatus: Informer<NodeStatusRecord>;
}

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void): Tables {
  const shared = {store, signal, onError};
  return {
    apps: informer({...shared, collection: collection(collections.apps), indexes: {global: ({spec}) => (spec.mode === 'global' ? ['global'] : [])}}),
    nodes: informer({...shared, collection: collection(collections.nodes)}),
    verdicts: informer({...shared, collection: collection(collections.nodeVerdicts)}),
    networks: informer({...shared, collection: collection(collections.networks)}),
    nodeStatus: informer({...shared, collection: collection(collections.nodeStatus)}),
    revisions: informer({...shared, collection: collection(collections.appRevisions), indexes: {app: (value) => [appKey(value)]}}),
    containers: informer({...shared, collection: collection(collections.containers), indexes: {app: (value) => [appKey(value)], node: ({node}) => [node]}}),
    statuses: informer({...shared, collection: collection(collections.containerStatus), indexes: {app: (value) => [appKey(value)]}}),
    rollouts: informer({...shared, collection: rollouts, indexes: {app: (value) => [appKey(value)]}}),
  };
}

export function whenReady(tables: Tables): Promise<unknown> {
  return Promise.all([tables.apps.ready(), tables.revisions.ready(), tables.containers.ready(), tables.statuses.ready(), tables.rollouts.ready(), tables.nodes.ready(), tables.verdicts.ready(), tables.networks.ready(), tables.nodeStatus.ready()]);
}

/** All machines lead published ports to all containers: none holds a port of its machine. */
export function arePortsShared({networks, nodeStatus}: Pick<Tables, 'networks' | 'nodeStatus'>): boolean {
  return carries(networks.get(CLUSTER_NETWORK)?.value.spec) && nodeStatus.list().every(({value}) => value.report.hostPorts !== undefined);
}

/**
 * Calls `wake` with the app's key whenever anything that bears on its rollout was decided, and `reported` when a container of
 * it was heard of; answers how to stop.
 */
export function onAppChange(tables: Tables, wake: (key: string) => void, reported: (key: string) => void): () => void {
  const wakeNode = (node: string): void => {
    for (const {value} of tables.containers.byIndex('node', node)) wake(appKey(value));
    // One container a machine: how many that are depends on all machines.
    for (const {key} of tables.apps.byIndex('global', 'global')) wake(key);
  };
  const stops = [
    tables.nodes.onChange((node, before, after) => {
      if (!before || !after || JSON.stringify([before.value.spec, before.value.labels]) !== JSON.stringify([after.value.spec, after.value.labels])) wakeNode(node);
    }),
    tables.verdicts.onChange((node, before, after) => {
      if ((before?.value.state ?? 'ready') !== (after?.value.state ?? 'ready')) wakeNode(node);
    }),
    tables.apps.onChange((key) => wake(key)),
    ...[tables.revisions, tables.containers, tables.rollouts].map((table) =>
      table.onChange((_key, before, after) => {
        const record = after?.value ?? before?.value;
        if (record) wake(appKey(record));
      }),
    ),
    tables.statuses.onChange((_key, before, after) => {
      const record = after?.value ?? before?.value;
      if (record) reported(appKey(record));
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
