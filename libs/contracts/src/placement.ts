/** From a template to what the scheduler is asked. */
import type * as z from 'zod';
import type {ContainerTemplate} from './app-spec.ts';
import type {ResourceAmounts} from './container.ts';
import {cpuMillicores, memoryBytes} from './quantity.ts';
import type {PlacementRequest} from './subjects.ts';

export interface PlacementSubject {
  readonly id: string;
  readonly namespace: string;
  readonly app: string;
  readonly template: ContainerTemplate;
  /** Of the app; absent: it has none yet. */
  readonly revision?: number;
  /** Machine of each named volume that has data; absent: none yet. */
  readonly volumeNode: (volume: string) => string | undefined;
  /** Of an app in mode `global`: never two on one machine. */
  readonly perNode?: boolean;
}

/** What one container asks of a machine. */
export function placementRequest({id, namespace, app, template, revision, volumeNode, perNode}: PlacementSubject): z.infer<typeof PlacementRequest> {
  return {
    id,
    namespace,
    app,
    ...requestedAmounts(template),
    ports: template.ports.map(({container, protocol, host, name, address}) => ({container, protocol, host, name, address})),
    nodes: template.placement.nodes ?? [],
    constraints: template.placement.constraints ?? [],
    pinnedTo: template.volumes.flatMap(({name}) => {
      const node = name === undefined ? undefined : volumeNode(name);
      return name === undefined || node === undefined ? [] : [{volume: name, node}];
    }),
    ...(revision === undefined ? {} : {revision}),
    ...preferences(template.placement, perNode === true ? app : undefined),
  };
}

const DEFAULT_WEIGHT = 50;

/** `aloneOnNode`: no two containers of this app share a machine. */
function preferences({tolerations, affinity, antiAffinity, spread, strategy}: ContainerTemplate['placement'], aloneOnNode: string | undefined): Partial<z.infer<typeof PlacementRequest>> {
  const asked = (all: ContainerTemplate['placement']['affinity']): NonNullable<z.infer<typeof PlacementRequest>['affinity']> =>
    (all ?? []).map(({app, topology, weight = DEFAULT_WEIGHT, required = false}) => ({app, topology, weight, required}));
  const apart = [...asked(antiAffinity), ...(aloneOnNode === undefined ? [] : [{app: aloneOnNode, topology: 'node', weight: DEFAULT_WEIGHT, required: true}])];
  return {
    ...(tolerations === undefined ? {} : {tolerations}),
    ...(affinity === undefined ? {} : {affinity: asked(affinity)}),
    ...(apart.length === 0 ? {} : {antiAffinity: apart}),
    ...(spread === undefined ? {} : {spread}),
    ...(strategy === undefined ? {} : {strategy}),
  };
}

/** What a container is promised of its machine, in millicores and bytes. Without a request, its limit counts as one: what it may take is what it is given. */
export function requestedAmounts({resources: {cpu, memory, cpuLimit, memoryLimit}}: Pick<ContainerTemplate, 'resources'>): ResourceAmounts {
  return {cpu: cpuMillicores(cpu ?? cpuLimit ?? 0), memory: memoryBytes(memory ?? memoryLimit ?? 0)};
}

/** A port of a machine that something listens on. */
export interface HostPort {
  readonly host: number;
  readonly protocol: 'tcp' | 'udp';
  /** Absent: every address. */
  readonly address?: string;
}

/** Whether two cannot be listened on at once on one machine. `::` covers IPv4 too on a dual-stack socket, so wildcards overlap all else. */
export function hostPortsClash(a: HostPort, b: HostPort): boolean {
  return a.host === b.host && a.protocol === b.protocol && (everyAddress(a.address) || everyAddress(b.address) || a.address === b.address);
}

/** Whether an address to bind stands for all addresses of the machine. */
export function everyAddress(address: string | undefined): boolean {
  return address === undefined || address === '0.0.0.0' || address === '::';
}
