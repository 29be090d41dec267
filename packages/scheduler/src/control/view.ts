/** The cluster as the scheduler sees it: informers over the records of their owners, at one revision of the store. */
import {carries, CLUSTER_NETWORK, collections, type ContainerRecord, type GlobalAppPlacement, globalOn} from '@hivemind/contracts';
import {collection, informer, type CollectionDefinition, type Informer} from '@hivemind/store';
import type {ManagerContext} from '@hivemind/service';
import {nodeView, type NodeView} from '../core/nodes.ts';

export interface ClusterView {
  ready(): Promise<void>;
  /** Resolves when the view holds all that was written up to the store's revision `n`. */
  waitFor(n: number, signal: AbortSignal): Promise<void>;
  nodes(): readonly NodeView[];
  /** Version of a node's allocation record; 0 when it has none. */
  allocationVersion(node: string): number;
  /** How many machines an app with one container a machine would be on. */
  globalNodes(placement: GlobalAppPlacement): number;
  /** As `place` takes it. */
  sharedPorts(): boolean;
  container(id: string): ContainerRecord | undefined;
  /** The machine that a volume's data is on. */
  volumeNode(namespace: string, volume: string): string | undefined;
}

export function clusterView({store, logger}: Pick<ManagerContext, 'store' | 'logger'>, signal: AbortSignal): ClusterView {
  const follow = <T extends object>(definition: CollectionDefinition<T>): Informer<T> =>
    informer({store, collection: definition, signal, onError: (err) => logger.warn({err, collection: definition.name}, 'a record could not be followed')});
  const nodes = follow(collection(collections.nodes));
  const statuses = follow(collection(collections.nodeStatus));
  const leases = follow(collection(collections.nodeLeases));
  const verdicts = follow(collection(collections.nodeVerdicts));
  const allocations = follow(collection(collections.allocations));
  const containers = follow(collection(collections.containers));
  const volumes = follow(collection(collections.volumes));
  const networks = follow(collection(collections.networks));
  const all: readonly Pick<Informer<object>, 'ready' | 'waitForRevision'>[] = [nodes, statuses, leases, verdicts, allocations, containers, volumes, networks];
  return {
    ready: async () => void (await Promise.all(all.map((each) => each.ready()))),
    waitFor: (n, until) => allocations.waitForRevision(n, until),
    nodes: () =>
      nodes.list().map(({key, value}) => nodeView({node: value, status: statuses.get(key)?.value, lease: leases.get(key)?.value, verdict: verdicts.get(key)?.value, allocation: allocations.get(key)?.value})),
    allocationVersion: (node) => allocations.get(node)?.version ?? 0,
    globalNodes: (placement) => nodes.list().filter(({key, value}) => globalOn(value, verdicts.get(key)?.value.state ?? 'ready', placement) === 'yes').length,
    sharedPorts: () => carries(networks.get(CLUSTER_NETWORK)?.value.spec),
    container: (id) => containers.get(id)?.value,
    volumeNode: (namespace, volume) => volumes.get(`${namespace}/${volume}`)?.value.node,
  };
}
