/**
 * Why did a container's life end? Because its app was changed, or because of what befell its machine. Everything else is
 * healthy, and healthy things are left alone. Pure.
 *
 *   what was done              │ may end, in place or for good
 *   ───────────────────────────┼──────────────────────────────────────────────────────────────────────────────────────
 *   delete                     │ every container of the app
 *   update                     │ those of an older version
 *   scale to fewer             │ so many of the app, soon after
 *   power off                  │ all on the machine then; later what was put elsewhere, which no user of a volume is
 *   engine restarted           │ all on the machine then
 *   cut off from everything    │ what was put elsewhere: neither signal of the machine came through
 *   any silence                │ what must never run twice, once it lasted as long as its lease
 *
 * An agent or a sidecar that ends, freezes, fills its disk, or loses the bus ends nothing: one of the two signals is left.
 */
import {type Ending, FENCE_LEASE, kindOf} from './model.ts';
import type {Diary, Life} from './history.ts';
import type {Fault} from './schedule.ts';

/** Something that was done, to which an end may be put down. s, as the diaries have it; `to`: when it was acknowledged, or undone. */
export type Deed =
  | {readonly from: number; readonly to: number; readonly fault: Fault}
  | {readonly from: number; readonly to: number; readonly app: string; readonly ends: Ending};

/** A change, or a machine's return, may take so long (s) to reach containers, while all sorts of things are broken. */
const LAG = 60;
/** Without a word from it for so long (s), a container may be taken for ended: a busy computer stalls. */
const STALL = 10;
/** What was undone may take so long (s) until machines are heard again: connections are made anew, with pauses. */
const RECOVERY = 10;
/**
 * What must never run twice may end so much earlier (s): its lease counts from when the last heartbeat that was answered was sent,
 * half a second before the next, and a busy computer is late with one.
 */
const EARLY = 2;

/** When it ended, and how: `last`, it was not started again. */
interface End extends Pick<Life, 'version'> {
  readonly app: string;
  readonly node: string;
  readonly last: boolean;
  /** When its container first ran. */
  readonly born: number;
  readonly earliest: number;
  readonly latest: number;
  /** As it is told where nothing explains it. */
  readonly told: string;
}

/**
 * Lives that ended for no reason.
 * @param running containers that run now
 */
export function unexplainedEnds(diaries: readonly Diary[], deeds: readonly Deed[], running: ReadonlySet<string>): readonly string[] {
  const ends = diaries.flatMap(({app, node, container, lives}) => lives.flatMap((life, index): readonly End[] => {
    const next = lives[index + 1];
    if (next === undefined && running.has(container)) return [];
    const latest = life.stopped ? life.to : Math.min(life.to + STALL, next?.from ?? Infinity);
    const how = next ? 'was started again' : life.stopped ? 'was stopped' : 'ended';
    return [{app, node, version: life.version, last: next === undefined, born: lives[0]?.from ?? life.from, earliest: life.to, latest, told: `${app}: ${container} on ${node} ${how} at ${life.to} s for no reason`}];
  }));
  const left = ends.filter((end) => !deeds.some((deed) => explains(deed, end)) && !(kindOf(end.app) === 'single' && isOfSilence(end, deeds)));
  return beyondThoseTooMany(left, deeds).map(({told}) => told);
}

/** Less what each scaling down ended: as many as it took away, and no more. */
function beyondThoseTooMany(ends: readonly End[], deeds: readonly Deed[]): readonly End[] {
  const fewer = deeds.flatMap((deed) => ('app' in deed && typeof deed.ends === 'object' && 'some' in deed.ends ? [{...deed, some: deed.ends.some}] : []));
  return ends.toSorted((a, b) => a.earliest - b.earliest).filter((end) => {
    const cause = fewer.find(({app, from, to, some}) => some > 0 && end.last && app === end.app && from <= end.latest && end.earliest <= to + LAG);
    if (cause) cause.some -= 1;
    return !cause;
  });
}

function explains(deed: Deed, end: End): boolean {
  if (deed.from > end.latest) return false;
  if ('app' in deed) return deed.app === end.app && end.last && (deed.ends === 'all' || ('olderThan' in deed.ends && end.version < deed.ends.olderThan));
  const {fault} = deed;
  if (!('node' in fault) || fault.node !== end.node) return false;
  const then = end.earliest <= deed.to;
  const elsewhere = end.last && end.earliest <= deed.to + LAG && kindOf(end.app) !== 'stateful';
  switch (fault.kind) {
    case 'power-off':
      return then || elsewhere;
    case 'restart-engine':
      return then;
    case 'cut-off':
      // What first ran there after it was back is in nobody's place. After a boot it may be: what was made before starts from what is kept.
      return fault.from === 'everything' && elsewhere && end.born < deed.to;
    default:
      return false;
  }
}

/** Whether nothing was heard of its machine, or nobody was there to hear it, for the length of its lease up to its end. */
function isOfSilence(end: End, deeds: readonly Deed[]): boolean {
  const silent = deeds.flatMap((deed) => ('fault' in deed && silences(deed.fault, end.node) ? [{from: deed.from, to: deed.to + RECOVERY}] : [])).toSorted((a, b) => a.from - b.from);
  // An agent that starts has heard nobody yet: it stops what it is not told to run.
  if (deeds.some((deed) => 'fault' in deed && deed.fault.kind === 'kill-agent' && deed.fault.node === end.node && deed.to <= end.latest && end.earliest <= deed.to + RECOVERY)) return true;
  let covered = end.latest - FENCE_LEASE + EARLY;
  for (const {from, to} of silent) if (from <= covered) covered = Math.max(covered, to);
  return covered >= end.earliest;
}

function silences(fault: Fault, node: string): boolean {
  switch (fault.kind) {
    case 'restart-bus':
    case 'restart-store':
      return true;
    case 'kill-service':
    case 'freeze-service':
      return fault.service === 'node' || fault.service === 'all';
    case 'kill-agent':
    case 'freeze-agent':
    case 'cut-off':
    case 'power-off':
      return fault.node === node;
    default:
      return false;
  }
}
