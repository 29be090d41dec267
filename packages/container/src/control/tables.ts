/** The collection this manager owns, and those it reads. */
import {collections} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';

export const containers = collection(collections.containers);
export const containerStatus = collection(collections.containerStatus);
export const nodeLeases = collection(collections.nodeLeases);

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  const tables = {
    containers: informer({...follow, collection: containers, indexes: {node: ({node}) => [node]}}),
    statuses: informer({...follow, collection: containerStatus}),
    /** Machines that are heard. */
    leases: informer({...follow, collection: nodeLeases}),
    verdicts: informer({...follow, collection: collection(collections.nodeVerdicts)}),
    services: informer({...follow, collection: collection(collections.services)}),
    nodeStatus: informer({...follow, collection: collection(collections.nodeStatus)}),
    volumes: informer({...follow, collection: collection(collections.volumes)}),
  };
  return {...tables, ready: async () => void (await Promise.all(Object.values(tables).map((table) => table.ready())))};
}
