/** The collections this manager owns, and those it reads. */
import {collections} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';

export const nodes = collection(collections.nodes);
export const nodeStatus = collection(collections.nodeStatus);
export const nodeLeases = collection(collections.nodeLeases);
const allocations = collection(collections.allocations);

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    nodes: informer({...follow, collection: nodes}),
    status: informer({...follow, collection: nodeStatus}),
    leases: informer({...follow, collection: nodeLeases}),
    allocations: informer({...follow, collection: allocations}),
  };
}

export async function whenReady(tables: Tables): Promise<void> {
  await Promise.all(Object.values(tables).map((table) => table.ready()));
}
