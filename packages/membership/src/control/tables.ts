/** The collections this manager owns, and those it reads. */
import {collections} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';
import type {Electorate} from './tally.ts';

export const members = collection(collections.members);
export const leaderRecords = collection(collections.leader);

export type Tables = ReturnType<typeof openTables>;

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    members: informer({...follow, collection: members}),
    leader: informer({...follow, collection: leaderRecords}),
    nodes: informer({...follow, collection: collection(collections.nodes)}),
    leases: informer({...follow, collection: collection(collections.nodeLeases)}),
  };
}

export async function whenReady(tables: Tables): Promise<void> {
  await Promise.all(Object.values(tables).map((table) => table.ready()));
}

/** A machine is ready for a vote while its lease stands. */
export function electorate({nodes, leases}: Pick<Tables, 'nodes' | 'leases'>): Electorate {
  return {ready: new Set(leases.list().map(({key}) => key)), machines: nodes.list().length > 0};
}
