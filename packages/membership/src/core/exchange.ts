/**
 * When whole views are exchanged (anti-entropy): now and then with anybody, so that what gossip missed is learnt; soon, and until
 * somebody answers, after news was missed; later once more, when this member's name was taken.
 */
import {pushPullEvery} from './config.ts';
import type {Context} from './context.ts';
import {ALIVE} from './table.ts';
import type {View} from './view.ts';

/** ms between two attempts to learn what was missed. */
const catchUpEvery = 500;
/** ms between two members that do so, when a large ring comes together again. */
const catchUpSpread = 5;

export class Exchange {
  readonly #context: Context;
  readonly #view: View;
  /** ms; Infinity: not any more. */
  #next: number;
  #catchingUp = false;
  /** Opened by this member. */
  opened = 0;

  constructor(context: Context, view: View) {
    const {config, random, table} = context;
    this.#context = context;
    this.#view = view;
    this.#next = config.pushPullInterval > 0 ? random() * pushPullEvery(config, table.living + 1) : Infinity;
  }

  get next(): number {
    return this.#next;
  }

  stop(): void {
    this.#next = Infinity;
  }

  /** Another's view was merged. */
  done(): void {
    this.#view.missedNews = false;
    this.#catchingUp = false;
  }

  /** After each input. */
  settle(): void {
    const {t, table, random, config} = this.#context;
    if (this.#view.missedNews && !this.#catchingUp) {
      this.#catchingUp = true;
      this.#sooner(t + random() * Math.max(catchUpEvery, table.living * catchUpSpread));
    }
    if (this.#view.nameTaken) {
      this.#view.nameTaken = false;
      // Who holds the name may be dead by then.
      this.#sooner(t + config.reclaimAfter);
    }
  }

  tick(): void {
    const {config, table, random, t, out} = this.#context;
    if (t < this.#next) return;
    this.#next = t + (this.#view.missedNews ? catchUpEvery : pushPullEvery(config, table.living + 1));
    const [id] = table.draw(1, random, (row) => table.state(row) === ALIVE);
    if (id === undefined) return;
    this.opened++;
    out.stream({kind: 'push-pull', to: table.profile(id).address});
  }

  #sooner(at: number): void {
    if (this.#next !== Infinity) this.#next = Math.min(this.#next, at);
  }
}
