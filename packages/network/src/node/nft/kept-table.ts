/**
 * Keeps a table of the kernel as it is declared: writes what changes, looks when somebody else changed it and every so often,
 * and puts right what differs. One transaction at a time; what comes meanwhile goes together into the next.
 */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {parseListing} from '../../core/nft/listing.ts';
import {type Chain, type ElementChanges, elementLines, type Elements, presentOf, type Present, type Ruleset, transaction} from '../../core/nft/ruleset.ts';
import type {Nft} from './command.ts';
import {watchTable} from './watch.ts';

/** Without news of a change: a large table takes a second to list. */
const LOOK_MS = 60_000;
/** Between two looks, however much others change. */
const REST_MS = 500;
const RETRY_MS = 2_000;

export interface KeptTableOptions {
  readonly table: string;
  readonly nft: Nft;
  /** As nft's. */
  readonly within?: readonly string[];
  /** All that is to be there; called when the whole is compared, else {@link KeptTable.change} says what is new. */
  readonly wanted: () => Ruleset;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Others of the machine that go with it are put right at each look. @throws leads to another look */
  readonly beside?: () => Promise<void>;
  /** It was worked on: `problem` may be another one. */
  readonly onWorked?: () => void;
}

export interface TableChange {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly elements: ElementChanges;
}

export class KeptTable {
  readonly #options: KeptTableOptions;
  readonly #stopWatch: () => void;
  /** What the kernel has, as far as is known; undefined until it was looked at. */
  #present: {chains: Map<string, {hook: string; marks: readonly string[]}>; elements: Map<string, Map<string, string>>; objects: Present['objects']} | undefined;
  #pending: TableChange[] = [];
  #isLookDue = true;
  #isRewriteDue = false;
  #waiting: PromiseWithResolvers<void>[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Before the first change nobody knows what should be: what an agent before left goes on. */
  #begun = false;
  #cancel = (): void => undefined;
  #lastLook = -REST_MS;
  /** Why it is not as it should be. */
  problem: string | undefined;
  mended = 0;

  constructor(options: KeptTableOptions) {
    this.#options = options;
    const {table, nft, within} = options;
    this.#stopWatch = watchTable({table, nft, ...(within === undefined ? {} : {within}), onChange: () => this.#lookWithin(Math.max(0, this.#lastLook + REST_MS - options.clock.monotonic()))});
  }

  /** Resolves when it is in the kernel, or was found there; later, where the kernel refuses it for now. */
  change(change: TableChange): Promise<void> {
    this.#pending.push(change);
    return this.#settled();
  }

  /** `wanted` is otherwise: what differs from what the kernel had is written. Resolves as {@link change} does. */
  rewrite(): Promise<void> {
    this.#isRewriteDue = true;
    return this.#settled();
  }

  /** Compares the whole. */
  look(): Promise<void> {
    this.#isLookDue = true;
    return this.#settled();
  }

  /** Leaves all as it is; whoever waits, waits no longer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopWatch();
    this.#cancel();
    await this.#running;
    this.#options.nft.close();
    for (const {resolve} of this.#waiting.splice(0)) resolve();
  }

  #settled(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#begun = true;
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    this.#work();
    return waiting.promise;
  }

  #lookWithin(ms: number): void {
    if (this.#stopped || !this.#begun) return;
    this.#cancel();
    this.#cancel = this.#options.clock.setTimer(() => {
      this.#isLookDue = true;
      this.#work();
    }, ms);
  }

  #work(): void {
    if (this.#running || this.#stopped) return;
    this.#running = this.#workOff().finally(() => {
      this.#running = undefined;
      this.#options.onWorked?.();
      this.#lookWithin(this.problem === undefined ? LOOK_MS : RETRY_MS);
    });
  }

  async #workOff(): Promise<void> {
    while (!this.#stopped && (this.#isLookDue || this.#isRewriteDue || this.#pending.length > 0 || this.#waiting.length > 0)) {
      const waiting = this.#waiting.splice(0);
      const changes = this.#pending.splice(0);
      const whole = this.#isLookDue || this.#present === undefined;
      const rewrite = this.#isRewriteDue;
      [this.#isLookDue, this.#isRewriteDue] = [false, false];
      try {
        if (whole) await this.#compare(rewrite || changes.length > 0);
        else if (rewrite) await this.#rewrite();
        else await this.#write(changes);
        this.problem = undefined;
        for (const {resolve} of waiting) resolve();
      } catch (err) {
        this.problem = err instanceof Error ? err.message : String(err);
        // What the kernel has is not what was thought: the whole is compared, at once the first time.
        this.#waiting.unshift(...waiting);
        this.#present = undefined;
        this.#isLookDue = true;
        this.#options.logger.warn({err, table: this.#options.table}, 'a transaction was refused');
        if (whole) return;
      }
    }
  }

  /** `wanted` has all that was announced before it is asked. */
  async #compare(isChange: boolean): Promise<void> {
    const {table, nft, wanted, beside, clock, logger} = this.#options;
    this.#lastLook = clock.monotonic();
    const known = this.#present !== undefined;
    const listing = await nft.list(table);
    const ruleset = wanted();
    const script = transaction(ruleset, listing === undefined ? undefined : parseListing(listing));
    if (script !== '') await nft.apply(script);
    this.#remember(ruleset);
    await beside?.();
    if (!known || isChange || script === '') return;
    this.mended++;
    logger.warn({table, lines: script.split('\n').length - 1}, 'rules of this machine were changed by another hand, and put right');
  }

  async #rewrite(): Promise<void> {
    const {nft, wanted} = this.#options;
    const ruleset = wanted();
    const script = transaction(ruleset, this.#present);
    if (script !== '') await nft.apply(script);
    this.#remember(ruleset);
  }

  #remember(ruleset: Ruleset): void {
    const {objects, chains, elements} = presentOf(ruleset);
    this.#present = {objects, chains: new Map(chains), elements: new Map([...elements].map(([set, own]) => [set, new Map(own)]))};
  }

  async #write(changes: readonly TableChange[]): Promise<void> {
    const present = this.#present;
    if (present === undefined) return;
    const {table, nft} = this.#options;
    const chains = new Map(changes.flatMap((change) => [...change.chains]).filter(([name]) => !present.chains.has(name)));
    const merged = new Map<string, Map<string, string | undefined>>();
    for (const {elements} of changes) {
      for (const [set, own] of elements) merged.set(set, new Map([...(merged.get(set) ?? []), ...own]));
    }
    const before = (set: string): Elements => present.elements.get(set) ?? new Map<string, string>();
    const {removals, additions} = elementLines(table, merged, before);
    const added: Ruleset = {table, objects: new Map(), chains, elements: new Map()};
    const lines = [...removals, ...(chains.size === 0 ? [] : [transaction(added, {objects: new Map(), chains: new Map(), elements: new Map()}).trimEnd()]), ...additions];
    if (lines.length === 0) return;
    await nft.apply(`${lines.join('\n')}\n`);
    for (const [name, chain] of presentOf(added).chains) present.chains.set(name, {...chain});
    for (const [set, own] of merged) {
      const has = present.elements.get(set) ?? new Map<string, string>();
      for (const [key, value] of own) {
        if (value === undefined) has.delete(key);
        else has.set(key, value);
      }
      present.elements.set(set, has);
    }
  }
}
