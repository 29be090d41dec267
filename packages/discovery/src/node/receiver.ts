/**
 * What the control plane tells of names, as this machine has it. A word that does not follow on the last one, a new epoch, and a
 * connection that is back are each a reason to ask; until that is answered, what is known stands.
 */
import {type Bus, call, listen, type Subscription} from '@hivemind/bus';
import {getNames, isError, namesChanged, type NamesEverywhere} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type * as z from 'zod';
import type {NameItem, Point} from '../model.ts';

export interface ReceiverOptions {
  readonly bus: Bus;
  readonly node: string;
  /** What is known already. */
  readonly at: Point | undefined;
  /** `whole`: what is not among `items` is gone. */
  readonly onItems: (items: readonly NameItem[], whole: boolean, at: Point) => void;
  /** How far all machines are; undefined: that is not counted. */
  readonly onEverywhere: (epoch: string, everywhere: NamesEverywhere | undefined) => void;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Pick<Logger, 'debug' | 'info'>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** All machines miss a word at once: each waits up to so long (ms) before it asks. */
const SPREAD_MS = 300;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #subscriptions: Subscription[] = [];
  readonly #ending = new AbortController();
  #at: Point | undefined;
  #asking = false;
  /** There was a reason to ask since the last question was sent. */
  #behind = false;
  #failures = 0;
  #cancel: () => void = () => undefined;
  #unfollow: () => void = () => undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#at = options.at;
  }

  async start(): Promise<void> {
    const {bus} = this.#options;
    this.#unfollow = bus.onStatus((status) => {
      if (status === 'connected') this.#fallBehind();
    });
    this.#subscriptions.push(await listen(bus, namesChanged, {}, (message) => this.#hear(message)));
    this.#fallBehind(0);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    this.#unfollow();
    this.#cancel();
    await Promise.allSettled(this.#subscriptions.map((subscription) => subscription.unsubscribe()));
  }

  #hear(word: z.infer<typeof namesChanged.message>): void {
    this.#follow(word);
    this.#options.onEverywhere(word.epoch, word.everywhere);
  }

  #follow({epoch, from, to, items}: z.infer<typeof namesChanged.message>): void {
    const at = this.#at;
    if (at?.epoch !== epoch || at.n < from || (items === undefined && at.n < to)) return this.#fallBehind();
    // Late, or doubled.
    if (to <= at.n) return;
    this.#take(items ?? [], false, {epoch, n: to});
  }

  #take(items: readonly NameItem[], whole: boolean, at: Point): void {
    this.#at = at;
    this.#options.onItems(items, whole, at);
  }

  #fallBehind(withinMs = SPREAD_MS): void {
    this.#behind = true;
    if (!this.#asking) this.#askIn(this.#options.random() * withinMs);
  }

  #askIn(ms: number): void {
    if (this.#ending.signal.aborted) return;
    this.#asking = true;
    this.#cancel = this.#options.clock.setTimer(() => void this.#ask(), ms);
  }

  async #ask(): Promise<void> {
    this.#behind = false;
    try {
      await this.#catchUp();
      this.#failures = 0;
    } catch (err) {
      if (this.#ending.signal.aborted) return;
      this.#behind = true;
      this.#failures += 1;
      const held = isError(err, 'names-held');
      this.#options.logger[held && this.#failures === 1 ? 'info' : 'debug']({err}, held ? 'the names that are known stand until the cluster is adopted' : 'the names could not be asked for; they are asked for again');
    }
    this.#asking = false;
    if (this.#behind) this.#askIn(this.#failures === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 10)) * (0.5 + this.#options.random() / 2));
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const known = this.#at;
      const first = await this.#question(known === undefined ? {} : {known});
      // What was heard meanwhile may be newer than this answer: then it is asked for from there on.
      if (this.#at !== known) continue;
      if (!first.full) {
        if (known === undefined || first.at.n > known.n) this.#take(first.items, false, first.at);
        return;
      }
      const items = [...first.items];
      for (let {next} = first; next !== undefined; ) {
        const page = await this.#question({after: next});
        if (page.at.epoch !== first.at.epoch) return this.#fallBehind();
        items.push(...page.items);
        ({next} = page);
      }
      // Pages are of different moments: what changed since the first is asked for, where there was a second.
      this.#take(items, true, first.at);
      if (first.next === undefined) return;
    }
  }

  #question(request: z.input<typeof getNames.request>): Promise<z.infer<typeof getNames.reply>> {
    const {bus, node} = this.#options;
    return call(bus, getNames, {node}, request, {signal: this.#ending.signal});
  }
}
