/** What the app manager knows: informers over its own collections and those it reads, all at one revision of the store. */
import {resourceKey, type AppRecord, type ContainerStatusRecord, type Rollout} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {informer, type CollectionDefinition, type IndexFunction, type Informer, type Revision, type Stored} from '@hivemind/store';
import {unmetDependencies} from '../core/dependencies.ts';
import type {AppView, Waiting} from '../model.ts';
import * as definitions from './collections.ts';

/** ms that a reader waits for what was just written to arrive in the view. */
const CATCH_UP_MS = 2000;

const byApp = ({namespace, app}: {readonly namespace: string; readonly app: string}): readonly string[] => [resourceKey(namespace, app)];

export type ClusterView = ReturnType<typeof clusterView>;

export function clusterView({store, logger}: Pick<ManagerContext, 'store' | 'logger'>, signal: AbortSignal) {
  const follow = <T extends object, I extends string = never>(definition: CollectionDefinition<T>, indexes?: Readonly<Record<I, IndexFunction<T>>>): Informer<T, I> =>
    informer({store, collection: definition, signal, ...(indexes ? {indexes} : {}), onError: (err) => logger.warn({err, collection: definition.name}, 'a record could not be followed')});

  const namespaces = follow(definitions.namespaces);
  const apps = follow(definitions.apps, {
    namespace: ({namespace}) => [namespace],
    dependsOn: ({namespace, spec}) => Object.keys(spec.dependsOn).map((name) => resourceKey(namespace, name)),
  });
  const revisions = follow(definitions.appRevisions, {app: byApp});
  const configs = follow(definitions.configs);
  const rollouts = follow(definitions.rollouts, {app: byApp});
  const containers = follow(definitions.containers, {app: byApp, node: ({node}) => [node]});
  const statuses = follow(definitions.containerStatus);
  const allocations = follow(definitions.allocations);
  const assignments = follow(definitions.assignments);
  const nodes = follow(definitions.nodes);
  const nodeStatus = follow(definitions.nodeStatus);
  const nodeLeases = follow(definitions.nodeLeases);
  const volumes = follow(definitions.volumes);
  const adoption = follow(definitions.adoption);
  const all: readonly {ready(): Promise<void>}[] = [namespaces, apps, revisions, configs, rollouts, containers, statuses, allocations, assignments, nodes, nodeStatus, nodeLeases, volumes, adoption];

  const appView = (key: string): AppView => {
    const app = apps.get(key)?.value;
    const rollout = app && newestRollout(app, rollouts.byIndex('app', key));
    return {
      app,
      rollout: rollout?.value,
      containers: containers.byIndex('app', key).map(({value: record}) => ({record, status: statusOf(statuses.get(record.id), record.node)})),
    };
  };

  return {
    namespaces, apps, revisions, configs, rollouts, containers, statuses, allocations, assignments, nodes, nodeStatus, nodeLeases, volumes, adoption,
    ready: async () => void (await Promise.all(all.map((each) => each.ready()))),
    /** Where the view stands. */
    revision: (): Revision => apps.revision,
    /** Resolves when the view holds all up to `n`. */
    waitFor: (n: number, until: AbortSignal): Promise<void> => apps.waitForRevision(n, until),
    /** For answers: waits a moment for `n`, and goes on with what there is otherwise. */
    catchUp: (n: number): Promise<void> => apps.waitForRevision(n, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined),
    appView,
    /** The stored rollout that `appView` shows, for comparisons. */
    rolloutOf: (app: AppRecord): Stored<Rollout> | undefined => newestRollout(app, rollouts.byIndex('app', resourceKey(app.namespace, app.name))),
    waiting: ({namespace, spec}: Pick<AppRecord, 'namespace' | 'spec'>): readonly Waiting[] => unmetDependencies(spec.dependsOn, (name) => appView(resourceKey(namespace, name))),
    addressOf: (node: string): string | undefined => nodes.get(node)?.value.spec.address,
    volumeNode: (namespace: string, volume: string): string | undefined => volumes.get(resourceKey(namespace, volume))?.value.node,
  };
}

function newestRollout({meta}: AppRecord, candidates: readonly Stored<Rollout>[]): Stored<Rollout> | undefined {
  return candidates.filter(({value}) => value.appUid === meta.uid).reduce<Stored<Rollout> | undefined>((a, b) => (a === undefined || b.value.revision > a.value.revision ? b : a), undefined);
}

/** A report of another machine than the container was placed on is about something else. */
function statusOf(stored: Stored<ContainerStatusRecord> | undefined, node: string): ContainerStatusRecord['status'] | undefined {
  return stored?.value.node === node ? stored.value.status : undefined;
}
