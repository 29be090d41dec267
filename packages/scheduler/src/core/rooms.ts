/** The free room of each machine while a batch is placed, and what is where. */
import type {PlacementRequest} from '@hivemind/contracts';
import type {NodeView} from './nodes.ts';
import type {TakenPort} from './ports.ts';

export interface Room {
  readonly node: NodeView;
  cpu: number;
  memory: number;
  count: number;
  /** undefined: its host ports are held by nobody. */
  readonly taken: TakenPort[] | undefined;
  /** Containers of each app, by namespace/name. */
  readonly apps: Map<string, number>;
  /** Those of each revision, by namespace/name@revision; without a number: of one that is not known. */
  readonly revisions: Map<string, number>;
}

interface Held {
  readonly namespace: string;
  readonly app: string;
  readonly revision?: number;
  readonly cpu: number;
  readonly memory: number;
}
type Ports = readonly {readonly host?: number; readonly protocol: 'tcp' | 'udp'; readonly address?: string}[];

/** `empty`: as if nothing were placed on it, and it were open to all. */
export function roomOf(node: NodeView, ignore: ReadonlySet<string>, {empty = false, sharedPorts = false}: {readonly empty?: boolean; readonly sharedPorts?: boolean} = {}): Room {
  const {cpu, memory} = node.capacity;
  const room: Room = {node: empty ? {...node, closed: undefined, taints: []} : node, cpu, memory, count: 0, taken: sharedPorts && node.holdsPorts !== true ? undefined : [], apps: new Map(), revisions: new Map()};
  if (empty) return room;
  for (const [id, held] of Object.entries(node.containers)) {
    if (!ignore.has(id)) occupy(room, held, held.ports);
  }
  return room;
}

export function occupy(room: Room, held: Held, ports: Ports): void {
  const app = `${held.namespace}/${held.app}`;
  room.cpu -= held.cpu;
  room.memory -= held.memory;
  room.count += 1;
  room.apps.set(app, (room.apps.get(app) ?? 0) + 1);
  const revision = `${app}@${held.revision ?? ''}`;
  room.revisions.set(revision, (room.revisions.get(revision) ?? 0) + 1);
  for (const {host, protocol, address} of ports) {
    if (host !== undefined && host !== 0) room.taken?.push({host, protocol, address, by: app});
  }
}

export function sameApp(room: Room, {namespace, app}: Pick<PlacementRequest, 'namespace' | 'app'>): number {
  return room.apps.get(`${namespace}/${app}`) ?? 0;
}

/** Copies: containers of the same app and revision. Those of another are going, or come to go: where they are says nothing for long. */
export function copies(room: Room, request: Pick<PlacementRequest, 'namespace' | 'app' | 'revision'>): number {
  const {namespace, app, revision} = request;
  if (revision === undefined) return sameApp(room, request);
  const count = (of: number | ''): number => room.revisions.get(`${namespace}/${app}@${of}`) ?? 0;
  return count(revision) + count('');
}

/** Share of the scarcer of memory and CPU that would be promised with the request on it, 0 to 1. */
export function fullness(room: Room, {cpu, memory}: PlacementRequest): number {
  const {capacity} = room.node;
  const share = (free: number, of: number): number => (of === 0 ? 1 : 1 - free / of);
  return Math.max(share(room.cpu - cpu, capacity.cpu), share(room.memory - memory, capacity.memory));
}
