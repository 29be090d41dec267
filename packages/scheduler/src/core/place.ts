/**
 * Where containers go. Each node is put before a pipeline of filters; the first that objects is that node's reason. Of the
 * nodes that remain the best is taken. What the app prefers counts most (taints it would rather not meet, then affinities);
 * then the node with fewest copies, of the same revision and then of the same app (soft spread: a preference, never a refusal),
 * then what the strategy says, then the name. A batch sees its own earlier placements, in the order given.
 */
import type {PlacementRequest, PlacementStrategy, PortBinding} from '@hivemind/contracts';
import {type FilterName, filterNames, isOpen, objectionOf, unwelcome} from './filters.ts';
import type {NodeView} from './nodes.ts';
import {choosePorts} from './ports.ts';
import {copies, fullness, occupy, type Room, roomOf, sameApp} from './rooms.ts';
import {isAnywhere, liking, type Surroundings, surroundingsOf} from './topology.ts';

export {filterNames};

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
  /** In [0, 1), for the strategy `random`; without it, that takes the first. */
  readonly random?: () => number;
  /** Machines lead host ports to containers on any of them: no container holds one of its machine, unless that says so (`holdsPorts`). */
  readonly sharedPorts?: boolean;
}
export interface PlaceResult {
  readonly placements: readonly Placed[];
  readonly refusals: readonly Unplaced[];
  /** Machines with fewer copies than where one was put beside another, and what of the moment kept it from them; by name. */
  readonly passedOver: readonly Refusal[];
}

/** Place each request on a node, or say for every node why not. Every request is answered exactly once. */
export function place(requests: readonly PlacementRequest[], nodes: readonly NodeView[], options: PlaceOptions = {}): PlaceResult {
  const {onEmpty = false, random = () => 0, sharedPorts = false} = options;
  // A request that is repeated after its commit got through must not be refused by its own allocation.
  const ignore = new Set([...(options.ignore ?? []), ...requests.map(({id}) => id)]);
  const rooms = nodes.map((node) => roomOf(node, ignore, {empty: onEmpty, sharedPorts}));
  const placements: Placed[] = [];
  const refusals: Unplaced[] = [];
  const passedOver = new Map<string, Refusal>();
  let lane: Lane | undefined;
  for (const request of requests) {
    // What runs elsewhere says nothing about what could ever fit.
    const asked = onEmpty ? {...request, affinity: [], antiAffinity: [], spread: []} : request;
    if (lane?.kind !== kindOf(asked)) lane = openLane(rooms, asked);
    const best = chosen(lane, asked, random);
    const choice = best === undefined ? undefined : choosePorts(request.ports, best.taken ?? []);
    if (best === undefined || choice?.ok !== true) {
      refusals.push({id: request.id, nodes: commonestFirst(lane.refused)});
      continue;
    }
    if (!lane.crowded && copies(best, request) > 0) {
      for (const refusal of emptier(rooms, lane.refused, best, request)) passedOver.set(refusal.node, refusal);
      lane.crowded = true;
    }
    occupy(best, request, choice.ports);
    placements.push({id: request.id, node: best.node.name, ports: choice.ports});
    lane = settle(lane, best, asked);
  }
  return {placements, refusals, passedOver: [...passedOver.values()].toSorted((a, b) => (a.node < b.node ? -1 : 1))};
}

/**
 * The machines as one kind of request sees them, the best first. The copies of an app ask alike: after one is placed only its
 * machine is looked at anew, unless what is where matters to them.
 */
interface Lane {
  readonly kind: string;
  readonly ranked: Room[];
  readonly refused: Refusal[];
  readonly surroundings: Surroundings;
  /** One was put beside a copy: who was passed over is known. */
  crowded: boolean;
}

/** What may be otherwise in a moment. The rest was asked for. */
const passing: ReadonlySet<FilterName> = new Set(['ready', 'memory', 'cpu', 'containers', 'ports']);

function emptier(rooms: readonly Room[], refused: readonly Refusal[], best: Room, request: PlacementRequest): readonly Refusal[] {
  const fewer = new Set(rooms.filter((room) => copies(room, request) < copies(best, request)).map(({node}) => node.name));
  return refused.filter(({node, filter}) => passing.has(filter) && fewer.has(node));
}

function kindOf({id: _, ...request}: PlacementRequest): string {
  return JSON.stringify(request);
}

function openLane(rooms: readonly Room[], request: PlacementRequest): Lane {
  const {fitting, refused, surroundings} = sift(rooms, request);
  return {kind: kindOf(request), ranked: fitting.toSorted((a, b) => rank(a, b, request, surroundings)), refused: [...refused], surroundings, crowded: false};
}

function chosen({ranked, surroundings}: Lane, request: PlacementRequest, random: () => number): Room | undefined {
  const [best] = ranked;
  if (best === undefined || request.strategy !== 'random') return best;
  const liked = ranked.filter((room) => preference(room, best, request, surroundings) === 0);
  return liked[Math.floor(random() * liked.length)];
}

/** After `room` took one; undefined: all have to be looked at anew. */
function settle(lane: Lane, room: Room, request: PlacementRequest): Lane | undefined {
  const {ranked, refused, surroundings} = lane;
  if (!isAnywhere(surroundings)) return undefined;
  ranked.splice(ranked.indexOf(room), 1);
  const objection = objectionOf(room, request, surroundings);
  if (objection !== undefined) refused.push({node: room.node.name, ...objection});
  else ranked.splice(placeIn(ranked, room, request, surroundings), 0, room);
  return lane;
}

/** Where `room` belongs among those that are ranked, by bisection. */
function placeIn(ranked: readonly Room[], room: Room, request: PlacementRequest, surroundings: Surroundings): number {
  let [from, to] = [0, ranked.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const other = ranked[middle];
    if (other !== undefined && rank(other, room, request, surroundings) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

export interface Verdict {
  readonly node: string;
  readonly fits: boolean;
  /** Why not, or how it ranks, in words. */
  readonly reason: string;
}

/** What each node would say to one request now, best first. */
export function explain(request: PlacementRequest, nodes: readonly NodeView[], {sharedPorts = false}: Pick<PlaceOptions, 'sharedPorts'> = {}): readonly Verdict[] {
  const rooms = nodes.map((node) => roomOf(node, new Set([request.id]), {sharedPorts}));
  const {fitting, refused, surroundings} = sift(rooms, request);
  const ranked = fitting.toSorted((a, b) => rank(a, b, request, surroundings));
  return [
    ...ranked.map((room) => ({node: room.node.name, fits: true, reason: `${sameApp(room, request)} of this app there, ${Math.round(fullness(room, request) * 100)}% full with it`})),
    ...commonestFirst(refused).map(({node, reason}) => ({node, fits: false, reason})),
  ];
}

interface Sifted {
  readonly fitting: readonly Room[];
  readonly refused: readonly Refusal[];
  readonly surroundings: Surroundings;
}

function sift(rooms: readonly Room[], request: PlacementRequest): Sifted {
  const surroundings = surroundingsOf(rooms, request, (room) => isOpen(room, request));
  const fitting: Room[] = [];
  const refused: Refusal[] = [];
  for (const room of rooms) {
    const objection = objectionOf(room, request, surroundings);
    if (objection === undefined) fitting.push(room);
    else refused.push({node: room.node.name, ...objection});
  }
  return {fitting, refused, surroundings};
}

/** Below 0: `a` is the better one. */
function rank(a: Room, b: Room, request: PlacementRequest, surroundings: Surroundings): number {
  return preference(a, b, request, surroundings) || strategies[request.strategy ?? 'best-fit'](a, b, request) || (a.node.name < b.node.name ? -1 : 1);
}

function preference(a: Room, b: Room, request: PlacementRequest, surroundings: Surroundings): number {
  return unwelcome(a, request) - unwelcome(b, request) || liking(b, surroundings) - liking(a, surroundings);
}

function spread(a: Room, b: Room, request: PlacementRequest): number {
  return copies(a, request) - copies(b, request) || sameApp(a, request) - sameApp(b, request);
}

const strategies: Readonly<Record<PlacementStrategy, (a: Room, b: Room, request: PlacementRequest) => number>> = {
  'best-fit': (a, b, request) => spread(a, b, request) || fullness(b, request) - fullness(a, request),
  'worst-fit': (a, b, request) => spread(a, b, request) || fullness(a, request) - fullness(b, request),
  'first-fit': () => 0,
  random: () => 0,
};

function commonestFirst(refused: readonly Refusal[]): readonly Refusal[] {
  const counts = new Map<FilterName, number>();
  for (const {filter} of refused) counts.set(filter, (counts.get(filter) ?? 0) + 1);
  return refused.toSorted((a, b) => (counts.get(b.filter) ?? 0) - (counts.get(a.filter) ?? 0) || filterNames.indexOf(a.filter) - filterNames.indexOf(b.filter) || (a.node < b.node ? -1 : 1));
}
