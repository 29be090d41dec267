/** The manager's view of the store: what it follows, and the one collection that it writes. */
import {collections, type AppRecord, type AppRevision, type ContainerRecord, type ContainerStatusRecord, type Rollout} from '@hivemind/contracts';
import {collection, informer, type Informer, type Store} from '@hivemind/store';

export const rollouts = collection(collections.rollouts);

/** Key of the app that a record belongs to. */
const appKey = (record: {readonly namespace: string; readonly app: string}): string => `${record.namespace}/${record.app}`;

export interface Tables {
  readonly apps: Informer<AppRecord>;
  readonly revisions: Informer<AppRevision, 'app'>;
  readonly containers: Informer<ContainerRecord, 'app'>;
  readonly statuses: Informer<ContainerStatusRecord, 'app'>;
  readonly rollouts: Informer<Rollout, 'app'>;
}

export function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void): Tables {
  const shared = {store, signal, onError};
  return {
    apps: informer({...shared, collection: collection(collections.apps)}),
    revisions: informer({...shared, collection: collection(collections.appRevisions), indexes: {app: (value) => [appKey(value)]}}),
    containers: informer({...shared, collection: collection(collections.containers), indexes: {app: (value) => [appKey(value)]}}),
    statuses: informer({...shared, collection: collection(collections.containerStatus), indexes: {app: (value) => [appKey(value)]}}),
    rollouts: informer({...shared, collection: rollouts, indexes: {app: (value) => [appKey(value)]}}),
  };
}

export function whenReady(tables: Tables): Promise<unknown> {
  return Promise.all([tables.apps.ready(), tables.revisions.ready(), tables.containers.ready(), tables.statuses.ready(), tables.rollouts.ready()]);
}

/**
 * Calls `wake` with the app's key whenever anything that bears on its rollout was decided, and `reported` when a container of
 * it was heard of; answers how to stop.
 */
export function onAppChange(tables: Tables, wake: (key: string) => void, reported: (key: string) => void): () => void {
  const stops = [
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
