/**
 * What containers wrote of their own lives, and what in it must not be. Pure.
 *
 * A life begins with `start` and ends with `stop`, or silently after its last `beat`. Times are seconds of one clock.
 */
import type {Fault} from './schedule.ts';

export interface Life {
  readonly from: number;
  /** When it was last known to run. */
  readonly to: number;
  /** It was told to stop. */
  readonly stopped: boolean;
  /** What it found in its volume; `none`: it has none. */
  readonly volume: 'none' | 'empty' | 'full';
}

export interface Diary {
  readonly app: string;
  readonly node: string;
  /** The engine's container: a start in place is another life of the same. */
  readonly container: string;
  readonly lives: readonly Life[];
}

/** Something that was done, to which an end may be put down. */
export type Deed =
  | {readonly from: number; readonly to: number; readonly fault: Fault}
  /** `to`: when it was acknowledged. */
  | {readonly from: number; readonly to: number; readonly app: string};

/**
 * Lines as the container's script writes them; one that was cut short by a crash says nothing.
 * @param zero when the run began, by the same clock
 */
export function readLives(text: string, zero = 0): readonly Life[] {
  const lives: Life[] = [];
  for (const line of text.split('\n')) {
    const [, word, time, state] = /^(start|beat|stop) (\d+\.\d+) ?(none|empty|full)?$/.exec(line) ?? [];
    if (word === undefined) continue;
    const at = Math.round((Number(time) - zero) * 100) / 100;
    const last = lives.at(-1);
    if (word === 'start') lives.push({from: at, to: at, stopped: false, volume: state === 'empty' || state === 'full' ? state : 'none'});
    else if (last) lives[lives.length - 1] = {...last, to: at, stopped: word === 'stop'};
  }
  return lives;
}

/** Two lives of an app that must never run twice, at one time. */
export function overlaps(diaries: readonly Diary[]): readonly string[] {
  const lives = diaries.flatMap(({app, node, container, lives: own}) => own.map((life) => ({...life, app, who: `${container} on ${node}`}))).toSorted((a, b) => a.from - b.from);
  return lives.flatMap((life, index) => lives.slice(index + 1).filter((later) => later.app === life.app && later.from < life.to)
    .map((later) => `${life.app} ran twice: ${life.who} from ${life.from} to ${life.to}, ${later.who} from ${later.from}`));
}

/** A start on an empty volume where there had been data. */
export function lostVolumes(diaries: readonly Diary[]): readonly string[] {
  const starts = diaries.flatMap(({app, node, lives}) => lives.map(({from, volume}) => ({app, node, from, volume}))).toSorted((a, b) => a.from - b.from);
  const seen = new Set<string>();
  return starts.flatMap(({app, node, from, volume}) => {
    const lost = volume === 'empty' && seen.has(app);
    seen.add(app);
    return lost ? [`${app} started on an empty copy of its volume, on ${node} at ${from}`] : [];
  });
}

/** A change of an app may take so long (s) to reach its containers, while all sorts of things are broken. */
const CHANGE_LAG = 60;
/** Between the last beat and the end, and what clocks of 10 ms and a busy computer add, s. */
const SLACK = 2;
/** They end the processes of a machine, or all containers of its engine. */
const ending: ReadonlySet<Fault['kind']> = new Set(['power-off', 'restart-engine']);
/** After them, what a machine runs may be wanted elsewhere by now. */
const hiding: ReadonlySet<Fault['kind']> = new Set([...ending, 'kill-agent', 'freeze-agent', 'cut-off', 'fill-disk']);

/**
 * Lives that ended for no reason.
 * @param now what still beats by then runs
 * @param fenced apps whose containers stop themselves where nobody hears their machine: also when it is who should hear that is away
 */
export function unexplainedEnds(diaries: readonly Diary[], deeds: readonly Deed[], now: number, fenced: ReadonlySet<string> = new Set()): readonly string[] {
  return diaries.flatMap(({app, node, container, lives}) => lives.flatMap((life, index) => {
    const next = lives[index + 1];
    if (next === undefined && !life.stopped && life.to >= now - SLACK) return [];
    const kinds = next === undefined || life.stopped || fenced.has(app) ? hiding : ending;
    const explained = deeds.some((deed) => {
      if ('app' in deed) return deed.app === app && next === undefined && deed.from <= life.to + SLACK && deed.to >= life.from - CHANGE_LAG;
      // What a machine hid may be put right any time later; what ended its processes did so then.
      const inTime = deed.from <= (next?.from ?? life.to) + SLACK && (kinds === hiding ? deed.to >= life.from - SLACK : deed.to >= life.to - SLACK);
      if (!('node' in deed.fault)) return fenced.has(app) && inTime;
      return deed.fault.node === node && (kinds.has(deed.fault.kind) || fenced.has(app)) && inTime;
    });
    return explained ? [] : [`${app}: ${container} on ${node} ${next ? 'was started again' : life.stopped ? 'was stopped' : 'ended'} at ${life.to} s for no reason`];
  }));
}
