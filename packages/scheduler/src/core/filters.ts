/** What a machine may object to. */
import {type PlacementRequest, type Taint, tolerates, unmetConstraint} from '@hivemind/contracts';
import {cpuText, memoryText} from './amounts.ts';
import {choosePorts} from './ports.ts';
import type {Room} from './rooms.ts';
import {type Surroundings, tooFar, tooMany, tooNear} from './topology.ts';

type Filter = (room: Room, request: PlacementRequest, surroundings: Surroundings) => string | undefined;

/** In the order they are asked: what no change of load could mend comes first. Who asks for nothing fits anywhere. */
const filters = {
  ready: ({node}) => node.closed,
  names: ({node}, {nodes}) => (nodes.length === 0 || nodes.includes(node.name) ? undefined : `is not one of the nodes asked for: ${nodes.join(', ')}`),
  taints: ({node}, {tolerations = []}) => {
    const taint = node.taints?.find((each) => each.effect !== 'PreferNoSchedule' && !tolerates(tolerations, each));
    return taint === undefined ? undefined : `has the taint ${taintText(taint)}, which it does not tolerate`;
  },
  constraints: ({node}, {constraints}) => constraints.map((constraint) => unmetConstraint(node.labels, constraint)).find((reason) => reason !== undefined),
  volumes: ({node}, {pinnedTo}) => {
    const elsewhere = pinnedTo.find((pin) => pin.node !== node.name);
    return elsewhere === undefined ? undefined : `the data of volume ${elsewhere.volume} is on ${elsewhere.node}`;
  },
  antiAffinity: (room, _request, surroundings) => tooNear(room, surroundings),
  affinity: (room, _request, surroundings) => tooFar(room, surroundings),
  spread: (room, _request, surroundings) => tooMany(room, surroundings),
  memory: (room, {memory}) => (memory === 0 || memory <= room.memory ? undefined : `asks ${memoryText(memory)} of memory, ${memoryText(Math.max(0, room.memory))} of ${memoryText(room.node.capacity.memory)} free`),
  cpu: (room, {cpu}) => (cpu === 0 || cpu <= room.cpu ? undefined : `asks ${cpuText(cpu)} of CPU, ${cpuText(Math.max(0, room.cpu))} of ${cpuText(room.node.capacity.cpu)} free`),
  containers: (room) => (room.count < room.node.capacity.pods ? undefined : `holds ${room.count} containers, at most ${room.node.capacity.pods} are allowed`),
  ports: (room, {ports}) => {
    const choice = choosePorts(ports, room.taken ?? []);
    return choice.ok ? undefined : choice.reason;
  },
} as const satisfies Record<string, Filter>;

export type FilterName = keyof typeof filters;
export const filterNames: readonly FilterName[] = ['ready', 'names', 'taints', 'constraints', 'volumes', 'antiAffinity', 'affinity', 'spread', 'memory', 'cpu', 'containers', 'ports'];
/** Those that say whether a machine could take a request at all, whatever else is where. */
const standing: readonly FilterName[] = ['ready', 'names', 'taints', 'constraints', 'volumes'];

export interface Objection {
  readonly filter: FilterName;
  readonly reason: string;
}

/** The first that a machine makes. */
export function objectionOf(room: Room, request: PlacementRequest, surroundings: Surroundings): Objection | undefined {
  for (const filter of filterNames) {
    const reason = filters[filter](room, request, surroundings);
    if (reason !== undefined) return {filter, reason};
  }
  return undefined;
}

const anywhere: Surroundings = {near: [], apart: [], spread: []};

export function isOpen(room: Room, request: PlacementRequest): boolean {
  return standing.every((filter) => filters[filter](room, request, anywhere) === undefined);
}

/** Taints that it would rather not meet. */
export function unwelcome({node}: Room, {tolerations = []}: PlacementRequest): number {
  return node.taints?.filter((taint) => taint.effect === 'PreferNoSchedule' && !tolerates(tolerations, taint)).length ?? 0;
}

function taintText({key, value, effect}: Taint): string {
  return `${key}${value === undefined ? '' : `=${value}`}:${effect}`;
}
