/**
 * What runs, brought to who is in rotation: HAProxy's answers in, commands of its socket out. Who leaves is put to rest, which
 * takes nothing away that is under way; a place is another container's only when nothing is under way in it, since HAProxy would
 * go on to use the connection. Pure.
 */
import type {ProxyPlan} from './plan.ts';
import {type Server, targetOfPlace} from './slots.ts';

/** A container's place as HAProxy has it. */
export interface Place {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Takes no new requests. */
  readonly resting: boolean;
  /** Connections with requests under way. */
  readonly used: number;
  /** Those kept for the next request. */
  readonly idle: number;
}

export interface Steps {
  /** In this order. None: it leads as is wanted, as far as it has places. */
  readonly commands: readonly string[];
  /** Close connections that are kept to those who have left. */
  readonly closing: readonly string[];
  /** Some have no place. */
  readonly isShort: boolean;
  /** Connections to some who have left are not over. */
  readonly isLeaving: boolean;
}

/** Answered by what `placesOf` reads. */
export const LOOK_AT_PLACES = 'show servers state;show servers conn';

export function placesOf(answer: string): readonly Place[] {
  const lines = answer.split('\n').map((line) => line.trim());
  const connections = new Map(table(lines, '# bkname/svname').map((row) => [row('bkname/svname'), {used: Number(row('used_cur')), idle: Number(row('idle_cur'))}]));
  return table(lines, '# be_id').flatMap((row) => {
    const [backend, name] = [row('be_name'), row('srv_name')];
    // Of HAProxy's own backends.
    if (!name.includes('.')) return [];
    return {
      backend, name, address: row('srv_addr'), port: Number(row('srv_port')), weight: Number(row('srv_uweight')), resting: (Number(row('srv_admin_state')) & MAINTENANCE) !== 0,
      ...(connections.get(`${backend}/${name}`) ?? {used: 0, idle: 0}),
    };
  });
}

/** Bits of srv_admin_state: put to rest by hand, or by another server. That of `disabled` in the configuration stays when it is ready. */
const MAINTENANCE = 0x01 | 0x02;

/** Rows below a line that names the columns, as far as the next empty line; answers what is in a column. */
function table(lines: readonly string[], head: string): readonly ((column: string) => string)[] {
  const start = lines.findIndex((line) => line.startsWith(head));
  if (start < 0) return [];
  const columns = lines[start]!.slice(2).split(/\s+/);
  const rows: ((column: string) => string)[] = [];
  for (let at = start + 1; (lines[at] ?? '') !== ''; at++) {
    const words = lines[at]!.split(/\s+/);
    rows.push((column) => words[columns.indexOf(column)] ?? '');
  }
  return rows;
}

/** Of a process, whichever configuration it has: places say by their names whom they are for. */
export function stepsTo(servers: ProxyPlan['servers'], places: readonly Place[]): Steps {
  const everybody = new Set(Object.values(servers).flat().map(addressOf));
  const all = [...Map.groupBy(places, ({backend}) => backend).values()].map((own) => {
    const target = targetOfPlace(own[0]!.backend, own[0]!.name);
    const wanted = servers[target];
    // Nobody is told any more who is behind it: those stay who are known from elsewhere.
    return wanted === undefined ? leave(own, (place) => everybody.has(addressOf(place))) : bring(own, wanted);
  });
  return {
    commands: all.flatMap(({commands}) => commands),
    closing: places.filter(({resting, idle}) => resting && idle > 0).map(closing),
    isShort: all.some(({isShort}) => isShort),
    isLeaving: places.some(({resting, used, idle}) => resting && used + idle > 0),
  };
}

type Part = Pick<Steps, 'commands' | 'isShort'>;

function leave(places: readonly Place[], stays: (place: Place) => boolean): Part {
  return {commands: places.filter((place) => !place.resting && !stays(place)).map(rest), isShort: false};
}

function bring(places: readonly Place[], wanted: readonly Server[]): Part {
  const missing = new Map(wanted.map((server) => [addressOf(server), server]));
  const commands: string[] = [];
  const leaving: Place[] = [];
  // Who leads already, before who could again.
  for (const place of places.toSorted((a, b) => Number(a.resting) - Number(b.resting))) {
    const server = missing.get(addressOf(place));
    if (server !== undefined) {
      missing.delete(addressOf(place));
      commands.push(...(place.weight === server.weight ? [] : [set(place, `weight ${server.weight}`)]), ...(place.resting ? [set(place, 'state ready')] : []));
    } else if (!place.resting) leaving.push(place);
  }
  const known = new Set(wanted.map(addressOf));
  const free = places.filter((place) => place.resting && place.used === 0 && !known.has(addressOf(place)));
  for (const server of missing.values()) {
    const place = free.shift();
    if (place === undefined) continue;
    missing.delete(addressOf(server));
    commands.push(set(place, `addr ${server.address} port ${server.port}`), ...(place.weight === server.weight ? [] : [set(place, `weight ${server.weight}`)]), set(place, 'state ready'));
  }
  // Those who come first: at no moment is nobody there. What is put to rest now may be free at the next look.
  commands.push(...leaving.map(rest));
  return {commands, isShort: missing.size > 0};
}

const addressOf = ({address, port}: Pick<Place, 'address' | 'port'>): string => `${address}:${port}`;
const set = ({backend, name}: Place, what: string): string => `set server ${backend}/${name} ${what}`;
const rest = (place: Place): string => set(place, 'state maint');

/** HAProxy closes what it keeps when a place gets another address; what was under way when it was put to rest, it keeps after that. */
const closing = (place: Place): string => set(place, `addr 0.0.0.0 port ${place.address === '0.0.0.0' && place.port === 1 ? 2 : 1}`);
