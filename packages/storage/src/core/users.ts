/** Who uses a volume, and how it reads. Pure. */
import {type AppRecord, type ContainerRecord, resourceKey, type Volume, type VolumeRecord} from '@hivemind/contracts';
import type {z} from 'zod';

/** Keys (`namespace/name`) of the volumes that a template mounts. */
export function volumesOf(namespace: string, {volumes}: Pick<ContainerRecord['template'], 'volumes'>): readonly string[] {
  return volumes.flatMap(({name}) => (name === undefined ? [] : [resourceKey(namespace, name)]));
}

/** Names of the apps that use a volume: by their spec, or by a container that is not gone yet. */
export function usersOf(apps: Iterable<AppRecord>, containers: Iterable<ContainerRecord>): readonly string[] {
  const names = new Set<string>();
  for (const {name} of apps) names.add(name);
  for (const {app} of containers) names.add(app);
  return [...names].sort();
}

export function presentVolume({name, namespace, labels, annotations, spec, node, meta}: VolumeRecord, version: number, usedBy: readonly string[]): z.infer<typeof Volume> {
  return {
    kind: 'Volume',
    name,
    namespace,
    labels,
    annotations,
    spec,
    status: {phase: node === undefined ? 'pending' : 'bound', ...(node === undefined ? {} : {node}), usedBy: [...usedBy]},
    meta: {...meta, version},
  };
}
