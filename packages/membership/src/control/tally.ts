/**
 * What counts of the reports. Pure.
 *
 * The machines that are ready have a vote each. A death counts when most of them report it, so neither a sidecar that is cut
 * off and takes all others for dead, nor many that are themselves gone, can bury a member. Who is silent counts among them and
 * votes for nothing. Who knows others and never heard of the member is not asked: a machine that came back after the member
 * died will never learn of it, and would else keep it alive for ever. Where no machine was ever registered, a ring of sidecars
 * alone, those that report vote.
 */
import type {MemberRecord, MemberSighting, MemberState} from '@hivemind/contracts';
import type {View} from './reports.ts';

export interface Electorate {
  /** Machines whose lease stands. */
  readonly ready: ReadonlySet<string>;
  /** Whether any machine was ever registered. */
  readonly machines: boolean;
}

export type Votes = Readonly<Record<MemberState | 'silent', number>>;

/** How one member stands. */
export interface Standing {
  readonly state: MemberState;
  /** Somebody misses it and nobody sees it, but too many are silent for its death to count. */
  readonly unseen: boolean;
  readonly votes: Votes;
  /** The newest of the sightings that agree with `state`. */
  readonly sighting: MemberSighting;
}

/** Every member that anyone with a vote knows. `earlier`: what counted last, by name. */
export function tally(views: ReadonlyMap<string, View>, electorate: Electorate, earlier: (name: string) => MemberState | undefined): ReadonlyMap<string, Standing> {
  const voters = votersOf(views, electorate);
  const sightings = new Map<string, MemberSighting[]>();
  for (const voter of voters) {
    for (const sighting of views.get(voter)?.values() ?? []) {
      const others = sightings.get(sighting.name);
      if (others) others.push(sighting);
      else sightings.set(sighting.name, [sighting]);
    }
  }
  const asked = [...voters].filter((voter) => knowsOthers(voter, views.get(voter)));
  return new Map([...sightings].map(([name, seen]) => {
    const strangers = asked.filter((voter) => views.get(voter)?.has(name) !== true).length;
    return [name, standingOf(seen, voters.size, strangers, earlier(name))];
  }));
}

const knowsOthers = (voter: string, view: View | undefined): boolean => view !== undefined && [...view.keys()].some((name) => name !== voter);

/** Whether most voters have told what they see: only then does it mean anything that none of them knows a member. */
export function heardFromMost(views: ReadonlyMap<string, View>, electorate: Electorate): boolean {
  const voters = votersOf(views, electorate);
  return 2 * [...voters].filter((voter) => views.has(voter)).length > voters.size;
}

/** Addresses told at once to a sidecar that does not know others. */
const MOST_INTRODUCED = 5;

/**
 * Living members that a sidecar does not know at all: their rings never met, as those of machines that joined at the same time.
 * By the sidecar's node; a ring that knows it as dead finds it by itself.
 */
export function introductions(views: ReadonlyMap<string, View>, standings: ReadonlyMap<string, Standing>): ReadonlyMap<string, readonly string[]> {
  const alive = [...standings].filter(([, {state}]) => state === 'alive');
  const unknown = [...views].map(([node, view]) => [node, alive.filter(([name]) => name !== node && !view.has(name)).slice(0, MOST_INTRODUCED).map(([, {sighting}]) => sighting.address)] as const);
  return new Map(unknown.filter(([, addresses]) => addresses.length > 0));
}

function votersOf(views: ReadonlyMap<string, View>, {ready, machines}: Electorate): ReadonlySet<string> {
  return machines ? ready : new Set(views.keys());
}

function standingOf(seen: readonly MemberSighting[], voters: number, strangers: number, earlier: MemberState | undefined): Standing {
  const count = (state: MemberState): number => seen.filter((sighting) => sighting.state === state).length;
  const votes = {alive: count('alive'), suspect: count('suspect'), dead: count('dead'), left: count('left'), silent: voters - seen.length};
  const state = verdict(votes, voters - strangers, earlier);
  const unseen = votes.alive + votes.suspect === 0 && state !== 'dead' && state !== 'left';
  const agreeing = seen.filter((sighting) => sighting.state === state);
  const [first, ...rest] = agreeing.length > 0 ? agreeing : seen;
  // `seen` holds at least one: a member is known by its sightings.
  const sighting = rest.reduce((newest, next) => (isNewer(next, newest) ? next : newest), first!);
  return {state, unseen, votes, sighting};
}

/** Between a majority that misses it and one that sees it, the earlier word stands. */
function verdict({alive, suspect, dead, left}: Votes, voters: number, earlier: MemberState | undefined): MemberState {
  const most = (votes: number): boolean => 2 * votes > voters;
  if (most(dead + left)) return left >= dead ? 'left' : 'dead';
  const isGone = earlier === 'dead' || earlier === 'left';
  // Who came back is seen alive by most again; a few late reports do not raise the dead.
  if (isGone && !most(alive + suspect)) return earlier;
  // Some miss it and the others are silent: nothing was decided yet.
  if (alive + suspect === 0) return earlier ?? 'suspect';
  return suspect > alive ? 'suspect' : 'alive';
}

function isNewer(a: MemberSighting, b: MemberSighting): boolean {
  return a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.since > b.since);
}

/** What is to be written, so that the records say what counts. */
export interface Changes {
  readonly put: readonly MemberRecord[];
  readonly remove: readonly string[];
}

export interface RecordsNow {
  readonly records: ReadonlyMap<string, MemberRecord>;
  readonly standings: ReadonlyMap<string, Standing>;
  /** Of `heardFromMost`: what nobody knows may go. */
  readonly complete: boolean;
  /** ms since the epoch. */
  readonly now: number;
  readonly uid: () => string;
}

/** The dead and those that left are shown for so long (ms) after nobody knows them any more. */
export const SHOWN_MS = 3_600_000;

export function changesOf({records, standings, complete, now, uid}: RecordsNow): Changes {
  const time = new Date(now).toISOString();
  const put = [...standings].flatMap(([name, standing]) => {
    const before = records.get(name);
    const after = recordOf(standing, before, time, uid);
    return before && same(before, after) ? [] : [after];
  });
  const forgotten = complete ? [...records.values()].filter(({name, state, since}) => !standings.has(name) && (state === 'alive' || state === 'suspect' || now - Date.parse(since) >= SHOWN_MS)) : [];
  return {put, remove: forgotten.map(({name}) => name)};
}

function recordOf({state, unseen, sighting}: Standing, before: MemberRecord | undefined, time: string, uid: () => string): MemberRecord {
  const {name, address, zone, agentVersion, api, tags, incarnation} = sighting;
  const spec = {address, ...(zone === undefined ? {} : {zone}), ...(agentVersion === undefined ? {} : {agentVersion}), ...(api === undefined ? {} : {api}), tags};
  const changed = before !== undefined && JSON.stringify(specOf(before)) !== JSON.stringify(spec);
  return {
    name, ...spec, state, ...(unseen ? {unseen} : {}), incarnation,
    since: before?.state === state ? before.since : time,
    meta: {uid: before?.meta.uid ?? uid(), generation: (before?.meta.generation ?? 1) + (changed ? 1 : 0), createdAt: before?.meta.createdAt ?? time, updatedAt: changed || !before ? time : before.meta.updatedAt},
  };
}

function specOf({address, zone, agentVersion, api, tags}: MemberRecord): object {
  return {address, ...(zone === undefined ? {} : {zone}), ...(agentVersion === undefined ? {} : {agentVersion}), ...(api === undefined ? {} : {api}), tags};
}

function same(before: MemberRecord, after: MemberRecord): boolean {
  return before.state === after.state && before.unseen === after.unseen && before.incarnation === after.incarnation && before.meta.generation === after.meta.generation;
}
