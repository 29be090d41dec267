/**
 * What containers wrote of their own lives, and what in it must not be. Pure. Why lives ended: reasons.ts.
 *
 * A life begins with `start` and ends with `stop`, or silently after its last `beat`. Times are seconds of one clock.
 */
import {type AppKind, kindOf} from './model.ts';

export interface Life {
  readonly from: number;
  /** When it was last known to run. */
  readonly to: number;
  /** It was told to stop. */
  readonly stopped: boolean;
  /** What it found in its volume; `none`: it has none. */
  readonly volume: 'none' | 'empty' | 'full';
  /** Of its app. */
  readonly version: number;
}

export interface Diary {
  readonly app: string;
  readonly node: string;
  /** Its id, which is its host's name: a start in place is another life of the same. */
  readonly container: string;
  readonly lives: readonly Life[];
}

/**
 * Lines as the container's script writes them; one that was cut short by a crash says nothing.
 * @param zero when the run began, by the same clock
 */
export function readLives(text: string, zero = 0): readonly Life[] {
  const lives: Life[] = [];
  for (const line of text.split('\n')) {
    const [, word, time, state, version] = /^(start|beat|stop) (\d+\.\d+) ?(?:(none|empty|full) (\d+))?$/.exec(line) ?? [];
    if (word === undefined) continue;
    const at = Math.round((Number(time) - zero) * 100) / 100;
    const last = lives.at(-1);
    if (word === 'start') lives.push({from: at, to: at, stopped: false, volume: state === 'empty' || state === 'full' ? state : 'none', version: Number(version ?? 0)});
    else if (last) lives[lives.length - 1] = {...last, to: at, stopped: word === 'stop'};
  }
  return lives;
}

/** There is one of it at a time: what must never run twice, and who has a volume to itself. */
const alone: ReadonlySet<AppKind> = new Set(['single', 'stateful']);

/** Two lives of an app that must never run twice, at one time. */
export function overlaps(diaries: readonly Diary[]): readonly string[] {
  const lives = diaries.filter(({app}) => alone.has(kindOf(app))).flatMap(({app, node, container, lives: own}) => own.map((life) => ({...life, app, who: `${container} on ${node}`}))).toSorted((a, b) => a.from - b.from);
  return lives.flatMap((life, index) => lives.slice(index + 1).filter((later) => later.app === life.app && later.from < life.to)
    .map((later) => `${life.app} ran twice: ${life.who} from ${life.from} to ${life.to}, ${later.who} from ${later.from}`));
}

/** A start on an empty volume where there had been data, or without the volume. */
export function lostVolumes(diaries: readonly Diary[]): readonly string[] {
  const starts = diaries.filter(({app}) => kindOf(app) === 'stateful').flatMap(({app, node, lives}) => lives.map(({from, volume}) => ({app, node, from, volume}))).toSorted((a, b) => a.from - b.from);
  const seen = new Set<string>();
  return starts.flatMap(({app, node, from, volume}) => {
    const lost = volume === 'none' || (volume === 'empty' && seen.has(app));
    seen.add(app);
    return lost ? [`${app} started ${volume === 'none' ? 'without' : 'on an empty copy of'} its volume, on ${node} at ${from}`] : [];
  });
}
