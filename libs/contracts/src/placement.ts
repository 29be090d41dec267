/** From a template to what the scheduler is asked. */
import type {z} from 'zod';
import type {ContainerTemplate} from './app-spec.ts';
import {cpuMillicores, memoryBytes} from './quantity.ts';
import type {PlacementRequest} from './subjects.ts';

export interface PlacementSubject {
  readonly id: string;
  readonly namespace: string;
  readonly app: string;
  readonly template: ContainerTemplate;
  /** Machine of each named volume that has data; absent: none yet. */
  readonly volumeNode: (volume: string) => string | undefined;
}

/** What one container asks of a machine. Without a request, its limit counts as one: what it may take is what it is given. */
export function placementRequest({id, namespace, app, template, volumeNode}: PlacementSubject): z.infer<typeof PlacementRequest> {
  const {cpu, memory, cpuLimit, memoryLimit} = template.resources;
  return {
    id,
    namespace,
    app,
    cpu: cpuMillicores(cpu ?? cpuLimit ?? 0),
    memory: memoryBytes(memory ?? memoryLimit ?? 0),
    ports: template.ports.map(({container, protocol, host, name, address}) => ({container, protocol, host, name, address})),
    nodes: template.placement.nodes ?? [],
    constraints: template.placement.constraints ?? [],
    pinnedTo: template.volumes.flatMap(({name}) => {
      const node = name === undefined ? undefined : volumeNode(name);
      return name === undefined || node === undefined ? [] : [{volume: name, node}];
    }),
  };
}
