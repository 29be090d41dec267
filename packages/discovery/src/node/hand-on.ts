/**
 * Hands the names on to the machine's sidecar, which answers them also while there is no agent. It says each time where it stands:
 * from there it is told what changed, and where that is not known, everything. Nothing is remembered of it, so one that was
 * started again, or is of another agent's time, is brought up to date alike.
 */
import type {Clock} from '@hivemind/controller';
import type {NameItem, Point} from '../model.ts';
import type {NameSettings} from '../names/snapshot-file.ts';

/** One call to the sidecar. An empty epoch: nothing is known yet. */
export interface NamesPart extends NameSettings {
  readonly epoch: string;
  /** What the sidecar must stand at for `items` to follow; of no account in a whole. */
  readonly from: number;
  readonly n: number;
  readonly whole: boolean;
  /** Of a whole: counted from 0; `more` follow, and it counts with the last one. */
  readonly part: number;
  readonly more: boolean;
  /** JSON of a list of items. */
  readonly items: Uint8Array;
}

/** The sidecar. Answers where it stands then; rejects while it is away. */
export interface NamesTarget {
  applyNames(part: NamesPart): Promise<Point>;
}

export interface HandOnOptions {
  readonly target: NamesTarget;
  readonly settings: () => NameSettings;
  readonly items: () => Iterable<NameItem>;
  readonly at: () => Point | undefined;
  /** The sidecar answers as of then. */
  readonly onTaken: (at: Point) => void;
  readonly clock: Clock;
}

/** Characters of JSON in one call: names are ASCII, and the socket takes 256 KiB. */
const PART = 160 * 1024;
/** It is asked so often (ms) where it stands: it may have been started again. */
const LOOK_EVERY_MS = 1_000;
/** Changes that wait while it is away; more are a whole. */
const MOST_WAITING = 5_000;
/** Names wait no longer (ms) for the kernel: what it refuses others say, and then no name gives a virtual IP. */
const PATIENCE_MS = 1_000;

export class HandOn {
  readonly #options: HandOnOptions;
  #waiting: NameItem[] = [];
  /** What waits, and what comes after it, is not answered before. */
  #hold: Promise<unknown> | undefined;
  /** Where the sidecar stood when it last answered; undefined: that is not known. */
  #theirs: Point | undefined;
  #busy: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: HandOnOptions) {
    this.#options = options;
  }

  /** Also when settings are others than before. */
  push(): void {
    this.#push();
  }

  /** These changed, up to `at` of the options. @param after the machine leads by them: names are not to be ahead of that */
  changed(items: readonly NameItem[], whole: boolean, after?: Promise<unknown>): void {
    this.#hold = after ?? this.#hold;
    if (whole || this.#waiting.length + items.length > MOST_WAITING) this.#forget();
    else this.#waiting.push(...items);
    this.#push();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#busy;
  }

  /** What waits follows on nothing that is known: the next call asks where it stands, the one after brings everything. */
  #forget(): void {
    this.#theirs = undefined;
    this.#waiting = [];
  }

  #push(): void {
    if (this.#stopped) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#cancel();
    this.#busy = this.#bringUp().catch(() => this.#forget()).then(() => {
      this.#busy = undefined;
      if (this.#again) {
        this.#again = false;
        return this.#push();
      }
      if (!this.#stopped) this.#cancel = this.#options.clock.setTimer(() => this.#push(), LOOK_EVERY_MS);
    });
  }

  async #bringUp(): Promise<void> {
    const {target} = this.#options;
    for (let hold = this.#hold; hold !== undefined; hold = this.#hold) {
      await this.#atMost(hold);
      // A later one may have come meanwhile.
      if (this.#hold === hold) this.#hold = undefined;
    }
    const settings = this.#options.settings();
    const at = this.#options.at() ?? {epoch: '', n: 0};
    const items = this.#waiting;
    const theirs = this.#theirs;
    this.#waiting = [];
    const follows = theirs !== undefined && theirs.epoch === at.epoch;
    // Where that is not known, it is asked.
    const call = {...settings, ...at, from: follows ? theirs.n : at.n, whole: false, part: 0, more: false, items: jsonOf(follows ? items : [])};
    const answer = call.items.length <= PART ? await target.applyNames(call) : undefined;
    this.#theirs = answer && isAt(answer, at) ? answer : await this.#bringWhole(at);
    if (this.#theirs && at.epoch !== '') this.#options.onTaken(at);
  }

  #atMost(hold: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.setTimer(() => resolve(undefined), PATIENCE_MS);
      void hold.finally(cancel).then(resolve, resolve);
    });
  }

  async #bringWhole(at: Point): Promise<Point | undefined> {
    if (at.epoch === '') return undefined;
    const {target} = this.#options;
    const settings = this.#options.settings();
    // Of this moment: what changes while it is brought waits.
    const parts = [...inParts(this.#options.items())];
    let answer: Point | undefined;
    for (const [part, items] of parts.entries()) answer = await target.applyNames({...settings, ...at, from: 0, whole: true, part, more: part < parts.length - 1, items});
    return answer && isAt(answer, at) ? answer : undefined;
  }
}

const isAt = (a: Point, b: Point): boolean => a.epoch === b.epoch && a.n === b.n;
const jsonOf = (items: readonly NameItem[]): Buffer => Buffer.from(JSON.stringify(items));

/** At least one. */
function* inParts(items: Iterable<NameItem>): Generator<Buffer> {
  let texts: string[] = [];
  let size = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    if (size + text.length > PART && texts.length > 0) {
      yield Buffer.from(`[${texts.join(',')}]`);
      texts = [];
      size = 0;
    }
    texts.push(text);
    size += text.length + 1;
  }
  yield Buffer.from(`[${texts.join(',')}]`);
}
