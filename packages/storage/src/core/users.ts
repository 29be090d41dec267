/** Who uses a volume, and how it reads. Pure. */
import {type AppRecord, type ContainerRecord, resourceKey, type Volume, type VolumeRecord} from '@hivemind/contracts';
import type * as z from 'zod';

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

/** The machine with the data: `there`, not heard (`away`), `dead`, or `removed` from the cluster. */
export type Home = 'there' | 'away' | 'dead' | 'removed';

export function presentVolume({name, namespace, labels, annotations, spec, node, meta}: VolumeRecord, version: number, usedBy: readonly string[], home: Home): z.infer<typeof Volume> {
  return {
    kind: 'Volume',
    name,
    namespace,
    labels,
    annotations,
    spec,
    status: {...phaseOf(name, node, home), ...(node === undefined ? {} : {node}), usedBy: [...usedBy]},
    meta: {...meta, version},
  };
}

function phaseOf(name: string, node: string | undefined, home: Home): {readonly phase: z.infer<typeof Volume>['status']['phase']; readonly message?: string} {
  if (node === undefined) return {phase: 'pending'};
  const way = `its users wait for it, or until the data is given up: hivemind volume abandon ${name}`;
  switch (home) {
    case 'there':
      return {phase: 'bound'};
    case 'away':
      return {phase: 'unreachable', message: `node ${node}, which has the data, is not heard`};
    case 'dead':
      return {phase: 'unreachable', message: `node ${node}, which has the data, is dead: ${way}`};
    case 'removed':
      return {phase: 'lost', message: `node ${node}, which has the data, was removed from the cluster: ${way}`};
  }
}
