/**
 * Where containers go. Each node is put before a pipeline of filters; the first that objects is that node's reason.
 * Of the nodes that remain the best is taken: the one with fewest containers of the same app (soft spread: a preference,
 * never a refusal), then the fullest that it still fits (best fit, which keeps room for the large), then by name.
 * A batch sees its own earlier placements, in the order given.
 */
import type {PlacementRequest, PortBinding} from '@hivemind/contracts';
import {cpuText, memoryText} from './amounts.ts';
import type {NodeView} from './nodes.ts';
import {choosePorts, type TakenPort} from './ports.ts';

export interface Refusal {
  readonly node: string;
  /** Which filter objected. */
  readonly filter: FilterName;
  readonly reason: string;
}
export interface Placed {
  readonly id: string;
  readonly node: string;
  readonly ports: readonly PortBinding[];
}
export interface Unplaced {
  readonly id: string;
  /** Every node, those with the commonest objection first. */
  readonly nodes: readonly Refusal[];
}
export interface PlaceOptions {
  /** Containers about to go, whose room counts as free. */
  readonly ignore?: readonly string[];
  /** As if nothing were placed and every node were ready: could it ever fit? */
  readonly onEmpty?: boolean;
}
export interface PlaceResult {
  readonly placements: readonly Placed[];
  readonly refusals: readonly Unplaced[];
}

/** Free room on one node while a batch is placed. */
interface Room {
  readonly node: NodeView;
  cpu: number;
  memory: number;
  count: number;
  readonly taken: TakenPort[];
  /** Containers of each app, by namespace/name. */
  readonly apps: Map<string, number>;
}

type Filter = (room: Room, request: PlacementRequest) => string | undefined;

/** In the order they are asked: what no change of load could mend comes first. Who asks for nothing fits anywhere. */
const filters = {
  ready: ({node}) => node.closed,
  names: ({node}, {nodes}) => (nodes.length === 0 || nodes.includes(node.name) ? undefined : `is not one of the nodes asked for: ${nodes.join(', ')}`),
  constraints: ({node}, {constraints}) => constraints.map((constraint) => unmet(node.labels, constraint)).find((reason) => reason !== undefined),
  volumes: ({node}, {pinnedTo}) => {
    const elsewhere = pinnedTo.find((pin) => pin.node !== node.name);
    return elsewhere === undefined ? undefined : `the data of volume ${elsewhere.volume} is on ${elsewhere.node}`;
  },
  memory: (room, {memory}) => (memory === 0 || memory <= room.memory ? undefined : `asks ${memoryText(memory)} of memory, ${memoryText(Math.max(0, room.memory))} of ${memoryText(room.node.capacity.memory)} free`),
  cpu: (room, {cpu}) => (cpu === 0 || cpu <= room.cpu ? undefined : `asks ${cpuText(cpu)} of CPU, ${cpuText(Math.max(0, room.cpu))} of ${cpuText(room.node.capacity.cpu)} free`),
  containers: (room) => (room.count < room.node.capacity.pods ? undefined : `holds ${room.count} containers, at most ${room.node.capacity.pods} are allowed`),
  ports: (room, {ports}) => {
    const choice = choosePorts(ports, room.taken);
    return choice.ok ? undefined : choice.reason;
  },
} as const satisfies Record<string, Filter>;

export type FilterName = keyof typeof filters;
export const filterNames: readonly FilterName[] = ['ready', 'names', 'constraints', 'volumes', 'memory', 'cpu', 'containers', 'ports'];

/** Place each request on a node, or say for every node why not. Every request is answered exactly once. */
export function place(requests: readonly PlacementRequest[], nodes: readonly NodeView[], options: PlaceOptions = {}): PlaceResult {
  // A request that is repeated after its commit got through must not be refused by its own allocation.
  const ignore = new Set([...(options.ignore ?? []), ...requests.map(({id}) => id)]);
  const rooms = nodes.map((node) => roomOf(node, ignore, options.onEmpty ?? false));
  const placements: Placed[] = [];
  const refusals: Unplaced[] = [];
  for (const request of requests) {
    const {fitting, refused} = sift(rooms, request);
    const best = fitting.reduce<Room | undefined>((a, b) => (a === undefined || better(b, a, request) ? b : a), undefined);
    const choice = best === undefined ? undefined : choosePorts(request.ports, best.taken);
    if (best === undefined || choice?.ok !== true) {
      refusals.push({id: request.id, nodes: commonestFirst(refused)});
      continue;
    }
    occupy(best, request, choice.ports);
    placements.push({id: request.id, node: best.node.name, ports: choice.ports});
  }
  return {placements, refusals};
}

export interface Verdict {
  readonly node: string;
  readonly fits: boolean;
  /** Why not, or how it ranks, in words. */
  readonly reason: string;
}

/** What each node would say to one request now, best first. */
export function explain(request: PlacementRequest, nodes: readonly NodeView[]): readonly Verdict[] {
  const rooms = nodes.map((node) => roomOf(node, new Set([request.id]), false));
  const {fitting, refused} = sift(rooms, request);
  const ranked = fitting.toSorted((a, b) => (better(a, b, request) ? -1 : 1));
  return [
    ...ranked.map((room) => ({node: room.node.name, fits: true, reason: `${sameApp(room, request)} of this app there, ${Math.round(fullness(room, request) * 100)}% full with it`})),
    ...commonestFirst(refused).map(({node, reason}) => ({node, fits: false, reason})),
  ];
}

function sift(rooms: readonly Room[], request: PlacementRequest): {readonly fitting: readonly Room[]; readonly refused: readonly Refusal[]} {
  const fitting: Room[] = [];
  const refused: Refusal[] = [];
  for (const room of rooms) {
    const objection = objectionOf(room, request);
    if (objection === undefined) fitting.push(room);
    else refused.push({node: room.node.name, ...objection});
  }
  return {fitting, refused};
}

function objectionOf(room: Room, request: PlacementRequest): Omit<Refusal, 'node'> | undefined {
  for (const filter of filterNames) {
    const reason = filters[filter](room, request);
    if (reason !== undefined) return {filter, reason};
  }
  return undefined;
}

function roomOf(node: NodeView, ignore: ReadonlySet<string>, empty: boolean): Room {
  const room: Room = {node: empty ? {...node, closed: undefined} : node, cpu: node.capacity.cpu, memory: node.capacity.memory, count: 0, taken: [], apps: new Map()};
  if (empty) return room;
  for (const [id, held] of Object.entries(node.containers)) {
    if (!ignore.has(id)) occupy(room, held, held.ports);
  }
  return room;
}

function occupy(room: Room, held: {readonly namespace: string; readonly app: string; readonly cpu: number; readonly memory: number}, ports: readonly {readonly host?: number; readonly protocol: 'tcp' | 'udp'; readonly address?: string}[]): void {
  const app = `${held.namespace}/${held.app}`;
  room.cpu -= held.cpu;
  room.memory -= held.memory;
  room.count += 1;
  room.apps.set(app, (room.apps.get(app) ?? 0) + 1);
  for (const {host, protocol, address} of ports) {
    if (host !== undefined && host !== 0) room.taken.push({host, protocol, address, by: app});
  }
}

function better(a: Room, b: Room, request: PlacementRequest): boolean {
  const spread = sameApp(a, request) - sameApp(b, request);
  if (spread !== 0) return spread < 0;
  const fit = fullness(a, request) - fullness(b, request);
  if (fit !== 0) return fit > 0;
  return a.node.name < b.node.name;
}

function sameApp(room: Room, {namespace, app}: PlacementRequest): number {
  return room.apps.get(`${namespace}/${app}`) ?? 0;
}

/** Share of the scarcer of memory and CPU that would be promised with the request on it, 0 to 1. */
function fullness(room: Room, {cpu, memory}: PlacementRequest): number {
  const {capacity} = room.node;
  const share = (free: number, of: number): number => (of === 0 ? 1 : 1 - free / of);
  return Math.max(share(room.cpu - cpu, capacity.cpu), share(room.memory - memory, capacity.memory));
}

function commonestFirst(refused: readonly Refusal[]): readonly Refusal[] {
  const counts = new Map<FilterName, number>();
  for (const {filter} of refused) counts.set(filter, (counts.get(filter) ?? 0) + 1);
  return refused.toSorted((a, b) => (counts.get(b.filter) ?? 0) - (counts.get(a.filter) ?? 0) || filterNames.indexOf(a.filter) - filterNames.indexOf(b.filter) || (a.node < b.node ? -1 : 1));
}

function unmet(labels: Readonly<Record<string, string>>, constraint: PlacementRequest['constraints'][number]): string | undefined {
  const {label} = constraint;
  const value = labels[label];
  const has = value === undefined ? `has no label ${label}` : `has ${label}=${value}`;
  if (constraint.in !== undefined && (value === undefined || !constraint.in.includes(value))) return `${has}, asked is one of ${constraint.in.join(', ')}`;
  if (constraint.notIn !== undefined && value !== undefined && constraint.notIn.includes(value)) return `${has}, which is excluded`;
  if (constraint.exists === true && value === undefined) return has;
  if (constraint.missing === true && value !== undefined) return `${has}, asked is none`;
  const number = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  if (constraint.gt !== undefined && !(number > constraint.gt)) return `${has}, asked is more than ${constraint.gt}`;
  if (constraint.lt !== undefined && !(number < constraint.lt)) return `${has}, asked is less than ${constraint.lt}`;
  return undefined;
}
