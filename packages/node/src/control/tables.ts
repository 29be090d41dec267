/** The collections this manager owns, and those it reads. */
import {collections, resourceKey} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';

export const nodes = collection(collections.nodes);
export const nodeStatus = collection(collections.nodeStatus);
export const nodeLeases = collection(collections.nodeLeases);
export const nodeVerdicts = collection(collections.nodeVerdicts);
export const nodeBrake = collection(collections.nodeBrake);
export const nodeSettings = collection(collections.nodeSettings);

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    nodes: informer({...follow, collection: nodes}),
    status: informer({...follow, collection: nodeStatus}),
    leases: informer({...follow, collection: nodeLeases}),
    verdicts: informer({...follow, collection: nodeVerdicts}),
    brake: informer({...follow, collection: nodeBrake}),
    settings: informer({...follow, collection: nodeSettings}),
    /** As the ring sees the machines; empty where there is none. */
    members: informer({...follow, collection: collection(collections.members)}),
    allocations: informer({...follow, collection: collection(collections.allocations)}),
    apps: informer({...follow, collection: collection(collections.apps)}),
    containers: informer({...follow, collection: collection(collections.containers), indexes: {node: ({node}) => [node]}}),
    statuses: informer({...follow, collection: collection(collections.containerStatus)}),
    volumes: informer({...follow, collection: collection(collections.volumes), indexes: {node: ({node}) => (node === undefined ? [] : [node])}}),
  };
}

export async function whenReady(tables: Tables): Promise<void> {
  await Promise.all(Object.values(tables).map((table) => table.ready()));
}

export function appOf(tables: Tables, {namespace, app}: {readonly namespace: string; readonly app: string}) {
  return tables.apps.get(resourceKey(namespace, app))?.value;
}
