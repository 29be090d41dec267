/** The collection this manager owns, and those that say who uses a volume and whether its machine is there. */
import {collections} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';
import {volumesOf} from '../core/users.ts';

export const volumes = collection(collections.volumes);
const apps = collection(collections.apps);
const containers = collection(collections.containers);

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    volumes: informer({...follow, collection: volumes}),
    apps: informer({...follow, collection: apps, indexes: {volume: ({namespace, spec}) => volumesOf(namespace, spec)}}),
    nodes: informer({...follow, collection: collection(collections.nodes)}),
    verdicts: informer({...follow, collection: collection(collections.nodeVerdicts)}),
    containers: informer({...follow, collection: containers, indexes: {volume: ({namespace, template}) => volumesOf(namespace, template)}}),
  };
}

export async function whenReady(tables: Tables): Promise<void> {
  await Promise.all(Object.values(tables).map((table) => table.ready()));
}
