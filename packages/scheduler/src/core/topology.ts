/**
 * Places that machines share: each machine for itself (`node`), or all with one value of a label, as in `zone`. A machine
 * without the label is in no such place.
 */
import type {PlacementRequest} from '@hivemind/contracts';
import {type Room, sameApp} from './rooms.ts';

export function placeOf({node}: Room, topology: string): string | undefined {
  return topology === 'node' ? node.name : node.labels[topology];
}

/** Containers of an app in each place. */
export function countsByPlace(rooms: readonly Room[], topology: string, app: Pick<PlacementRequest, 'namespace' | 'app'>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const room of rooms) {
    const place = placeOf(room, topology);
    if (place !== undefined) counts.set(place, (counts.get(place) ?? 0) + sameApp(room, app));
  }
  return counts;
}

/** What one request asks about places, counted once for all machines. */
export interface Surroundings {
  readonly near: readonly Neighbourhood[];
  readonly apart: readonly Neighbourhood[];
  readonly spread: readonly Spread[];
}
interface Neighbourhood {
  readonly app: string;
  readonly topology: string;
  readonly weight: number;
  readonly required: boolean;
  readonly counts: ReadonlyMap<string, number>;
  /** Nobody is anywhere, and it asks for its own kind: the first one may go where it likes. */
  readonly first: boolean;
}
interface Spread {
  readonly topology: string;
  readonly maxSkew: number;
  readonly counts: ReadonlyMap<string, number>;
  /** The fewest of any place that could take it. */
  readonly least: number;
  readonly leastIn: string;
}

const nowhere: Surroundings = {near: [], apart: [], spread: []};

/** @param open whether a machine could take the request but for its load: places without such a machine do not hold the others back */
export function surroundingsOf(rooms: readonly Room[], request: PlacementRequest, open: (room: Room) => boolean): Surroundings {
  const {namespace, affinity = [], antiAffinity = [], spread = []} = request;
  if (affinity.length + antiAffinity.length + spread.length === 0) return nowhere;
  const neighbourhood = (asked: (typeof affinity)[number]): Neighbourhood => {
    const counts = countsByPlace(rooms, asked.topology, {namespace, app: asked.app});
    return {...asked, counts, first: asked.app === request.app && [...counts.values()].every((count) => count === 0)};
  };
  return {
    near: affinity.map(neighbourhood),
    apart: antiAffinity.map(neighbourhood),
    spread: spread.map(({topology, maxSkew}) => {
      const counts = countsByPlace(rooms, topology, request);
      const eligible = new Set(rooms.filter(open).flatMap((room) => placeOf(room, topology) ?? []));
      const [leastIn = '', least = 0] = [...counts].filter(([place]) => eligible.has(place)).toSorted(([, a], [, b]) => a - b)[0] ?? [];
      return {topology, maxSkew, counts, least, leastIn};
    }),
  };
}

/** Nothing that runs anywhere matters to the request. */
export function isAnywhere({near, apart, spread}: Surroundings): boolean {
  return near.length + apart.length + spread.length === 0;
}

/** `on it` or `in zone a`. */
function where(topology: string, place: string): string {
  return topology === 'node' ? 'on it' : `in ${topology} ${place}`;
}

export function tooNear(room: Room, {apart}: Surroundings): string | undefined {
  for (const {required, topology, app, counts} of apart) {
    const place = placeOf(room, topology);
    if (required && place !== undefined && (counts.get(place) ?? 0) > 0) return `has a container of app ${app} ${where(topology, place)}, asked is none`;
  }
  return undefined;
}

export function tooFar(room: Room, {near}: Surroundings): string | undefined {
  for (const {required, topology, app, counts, first} of near) {
    if (!required) continue;
    const place = placeOf(room, topology);
    if (place === undefined) return `has no label ${topology}, by which it should be near app ${app}`;
    if (!first && (counts.get(place) ?? 0) === 0) return `has no container of app ${app} ${where(topology, place)}`;
  }
  return undefined;
}

export function tooMany(room: Room, {spread}: Surroundings): string | undefined {
  for (const {topology, maxSkew, counts, least, leastIn} of spread) {
    const place = placeOf(room, topology);
    if (place === undefined) return `has no label ${topology}, by which the app is spread`;
    const count = counts.get(place) ?? 0;
    if (count + 1 - least > maxSkew) return `has ${count} of this app ${where(topology, place)}, ${leastIn} has ${least}: at most ${maxSkew} more are allowed`;
  }
  return undefined;
}

/** What preferences say for a machine: weights of what it should be near, less those of what it should be apart from. */
export function liking(room: Room, {near, apart}: Surroundings): number {
  const weigh = (all: readonly Neighbourhood[]): number =>
    all.reduce((sum, {required, topology, weight, counts}) => {
      const place = placeOf(room, topology);
      return !required && place !== undefined && (counts.get(place) ?? 0) > 0 ? sum + weight : sum;
    }, 0);
  return weigh(near) - weigh(apart);
}
