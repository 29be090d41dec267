/** How volumes are called in the engine. Pure. */
import {engineLabels} from '@hivemind/contracts';

/** First characters of a cluster's id, as in the engine's names of networks and containers. */
function short(cluster: string): string {
  return cluster.slice(0, 8);
}

/** The engine's name of a volume of a namespace. */
export function volumeName(cluster: string, namespace: string, name: string): string {
  return ['hivemind', short(cluster), namespace, name].join('-');
}

/** Labels of a volume in the engine: whose it is. */
export function volumeLabels(cluster: string, namespace: string, name: string): Record<string, string> {
  return {[engineLabels.cluster]: cluster, [engineLabels.namespace]: namespace, 'hivemind.volume': name};
}
