/** From a container's record to what the engine is asked for. */
import {type ContainerRecord, engineLabels, type EngineOrigin} from '@hivemind/contracts';
import type {ContainerNetwork, Contribution, RuntimeSpec} from '@hivemind/runtime';
import type {StoreRevision} from './core/timeline.ts';

/** Where and under what a machine's containers are made. */
export interface Surroundings {
  readonly cluster: string;
  readonly node: string;
  /** Absolute; told to the engine so that a data dir that was deleted finds its containers again (law 12). */
  readonly dataDir: string;
  readonly revision: StoreRevision;
  /** Containers of the record's app that this node was assigned; a hint for whoever rebuilds a lost store. */
  readonly replicas: number;
}

/** Label with the absolute data dir of the cluster that made a container. */
export const dataDirLabel = 'hivemind.data-dir';

/** First characters of a cluster's id: enough to tell two of them on one engine apart by eye. */
export function shortCluster(cluster: string): string {
  return cluster.slice(0, 8);
}

/** The same for the same record, so that a create repeated after a crash meets the first one. */
export function engineName(record: ContainerRecord, cluster: string): string {
  return `${record.id}.${record.namespace}.${shortCluster(cluster)}`;
}

/** Network of a namespace, or one of its further networks. */
export function networkName(cluster: string, namespace: string, network?: string): string {
  return ['hivemind', shortCluster(cluster), namespace, ...(network === undefined ? [] : [network])].join('-');
}

/** The engine's name for the machine's network of containers. */
export function machineNetworkName(cluster: string): string {
  return ['hivemind', shortCluster(cluster)].join('-');
}

/** Everything but what the hooks do not know: they contribute the references among the environment, files and volumes. */
export function runtimeSpecOf(record: ContainerRecord, contributions: readonly Contribution[], surroundings: Surroundings): RuntimeSpec {
  const {cluster} = surroundings;
  const {template} = record;
  const plain = Object.entries(template.env).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const network = contributions.find((contribution) => contribution.network)?.network;
  return {
    // The engine publishes nothing that the machine leads on.
    record: network?.publishes === true ? {...record, ports: record.ports.map(({host: _host, ...port}) => port)} : record,
    name: engineName(record, cluster),
    env: Object.assign(Object.fromEntries(plain), ...contributions.map(({env}) => env)),
    mounts: contributions.flatMap(({mounts}) => mounts ?? []),
    labels: {...labelsOf(record, surroundings), ...(network ? {[engineLabels.address]: network.address} : {})},
    ...(network ? {network, networks: [{name: machineNetworkName(cluster), aliases: aliasesOn(network, record)}]} : {networks: networksOf(record, cluster)}),
  };
}

/** Where nobody else answers names the engine does, for all namespaces: whole ones, which a search list makes of short ones. */
function aliasesOn({dns}: ContainerNetwork, {app, template}: ContainerRecord): readonly string[] {
  const [domain] = dns.search;
  return dns.servers.length > 0 || domain === undefined ? [] : [...new Set([app, ...template.aliases])].map((name) => `${name}.${domain}`);
}

/** One for each namespace, or those of it that the template names, on which the engine answers names. */
function networksOf({namespace, app, template}: ContainerRecord, cluster: string): RuntimeSpec['networks'] {
  const names = template.networks.length > 0 ? template.networks.map((network) => networkName(cluster, namespace, network)) : [networkName(cluster, namespace)];
  return names.map((name) => ({name, aliases: [...new Set([app, ...template.aliases])]}));
}

function labelsOf(record: ContainerRecord, {cluster, node, dataDir, revision, replicas}: Surroundings): Record<string, string> {
  const origin: EngineOrigin = {epoch: revision.epoch, n: revision.n, container: record, app: {replicas, mode: record.mode}};
  return {
    [engineLabels.app]: record.app,
    [engineLabels.namespace]: record.namespace,
    [engineLabels.container]: record.id,
    [engineLabels.node]: node,
    [engineLabels.revision]: String(record.revision),
    [engineLabels.cluster]: cluster,
    [engineLabels.origin]: JSON.stringify(origin),
    [dataDirLabel]: dataDir,
  };
}
