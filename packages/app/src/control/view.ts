/** What the app manager knows: informers over its own collections and those it reads, all at one revision of the store. */
import {BRAKE_KEY, carries, CLUSTER_NETWORK, globalOn, nodeState, resourceKey, statusUnder, type AppRecord, type ContainerRecord, type ContainerStatus, type GlobalAppPlacement, type Rollout} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {informer, type CollectionDefinition, type IndexFunction, type Informer, type Revision, type Stored} from '@hivemind/store';
import {unmetDependencies} from '../core/dependencies.ts';
import type {PublishingMachine} from '../core/endpoints.ts';
import {whereaboutsOf, type MachineView, type Whereabouts} from '../core/whereabouts.ts';
import type {AppView, ContainerView, Waiting} from '../model.ts';
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
    global: ({spec}) => (spec.mode === 'global' ? ['global'] : []),
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
  const nodeVerdicts = follow(definitions.nodeVerdicts);
  const nodeBrake = follow(definitions.nodeBrake);
  const volumes = follow(definitions.volumes);
  const adoption = follow(definitions.adoption);
  const networks = follow(definitions.networks);
  const services = follow(definitions.services);
  const ingresses = follow(definitions.ingresses);
  const all: readonly {ready(): Promise<void>}[] = [namespaces, apps, revisions, configs, rollouts, containers, statuses, allocations, assignments, nodes, nodeStatus, nodeLeases, nodeVerdicts, nodeBrake, volumes, adoption, networks, services, ingresses];

  const appView = (key: string): AppView => {
    const app = apps.get(key)?.value;
    const rollout = app && newestRollout(app, rollouts.byIndex('app', key));
    return {
      app,
      rollout: rollout?.value,
      containers: containers.byIndex('app', key).map(({value: record}) => ({record, status: statusOf(record)})),
    };
  };

  /** A volume of the container whose data is on its very machine. */
  const localVolume = ({namespace, node, template}: ContainerRecord): string | undefined =>
    template.volumes.find(({name}) => name !== undefined && volumes.get(resourceKey(namespace, name))?.value.node === node)?.name;

  const statusOf = (record: ContainerRecord): ContainerStatus | undefined => {
    const stored = statuses.get(record.id)?.value;
    // A report of another machine than the container was placed on is about something else.
    if (stored?.node !== record.node) return undefined;
    const verdict = nodeVerdicts.get(record.node)?.value;
    return statusUnder(verdict, stored.status, verdict?.state === 'dead' ? localVolume(record) : undefined);
  };

  /** What a container's machine means to it. `silentMs`: since when each machine is not heard, as whoever asks saw it. */
  const whereabouts = (view: ContainerView, app: Pick<AppRecord, 'spec'> | undefined, now: number, silentMs: (node: string) => number | undefined): Whereabouts => {
    const name = view.record.node;
    const node = nodes.get(name)?.value;
    const verdict = nodeVerdicts.get(name)?.value;
    const session = nodeStatus.get(name)?.value.session ?? 0;
    const machine: MachineView | undefined = node && {node, state: verdict?.state ?? 'ready', confirmedDead: verdict?.confirmedDead !== undefined && verdict.confirmedDead >= session, silentMs: silentMs(name)};
    return whereaboutsOf(view, {machine, global: app?.spec.mode === 'global', braked: nodeBrake.get(BRAKE_KEY)?.value.engaged === true, localVolume: localVolume(view.record), now});
  };

  return {
    namespaces, apps, revisions, configs, rollouts, containers, statuses, allocations, assignments, nodes, nodeStatus, nodeLeases, nodeVerdicts, nodeBrake, volumes, adoption, services, ingresses,
    ready: async () => void (await Promise.all(all.map((each) => each.ready()))),
    /** Where the view stands. */
    revision: (): Revision => apps.revision,
    /** Resolves when the view holds all up to `n`. */
    waitFor: (n: number, until: AbortSignal): Promise<void> => apps.waitForRevision(n, until),
    /** For answers: waits a moment for `n`, and goes on with what there is otherwise. */
    catchUp: (n: number): Promise<void> => apps.waitForRevision(n, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined),
    appView,
    whereabouts,
    isHeard: (node: string): boolean => nodeLeases.get(node) !== undefined,
    /** How many machines an app with one container a machine would be on. */
    globalNodes: (placement: GlobalAppPlacement): number => nodes.list().filter(({key, value}) => globalOn(value, nodeVerdicts.get(key)?.value.state ?? 'ready', placement) === 'yes').length,
    /** The stored rollout that `appView` shows, for comparisons. */
    rolloutOf: (app: AppRecord): Stored<Rollout> | undefined => newestRollout(app, rollouts.byIndex('app', resourceKey(app.namespace, app.name))),
    waiting: ({namespace, spec}: Pick<AppRecord, 'namespace' | 'spec'>): readonly Waiting[] => unmetDependencies(spec.dependsOn, (name) => appView(resourceKey(namespace, name))),
    arePortsShared: () => carries(networks.get(CLUSTER_NETWORK)?.value.spec),
    publishing: (): readonly PublishingMachine[] => nodes.list().flatMap(({key: node, value}) => {
      const report = nodeStatus.get(node)?.value.report;
      return report?.hostPorts === undefined || nodeState(nodeVerdicts.get(node)?.value, true) !== 'ready' ? [] : [{node, address: value.spec.address, taken: report.hostPorts.taken}];
    }),
    addressOf: (node: string): string | undefined => nodes.get(node)?.value.spec.address,
    volumeNode: (namespace: string, volume: string): string | undefined => volumes.get(resourceKey(namespace, volume))?.value.node,
  };
}

function newestRollout({meta}: AppRecord, candidates: readonly Stored<Rollout>[]): Stored<Rollout> | undefined {
  return candidates.filter(({value}) => value.appUid === meta.uid).reduce<Stored<Rollout> | undefined>((a, b) => (a === undefined || b.value.revision > a.value.revision ? b : a), undefined);
}
