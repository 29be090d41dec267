/**
 * What machines are told of names: the newest of every fact, and which of them changed lately. A machine that says what it knows
 * gets what changed since, or everything in pages; pages are of different moments, so it asks once more for what changed since
 * the first of them.
 */
import {getNames, type NameItem, type ServiceRecord} from '@hivemind/contracts';
import type * as z from 'zod';
import type {Point} from '../model.ts';
import type {Tables} from './tables.ts';

type Answer = z.infer<typeof getNames.reply>;

/** Changes that are remembered. */
const REMEMBERED = 20_000;
/** Characters of JSON in a page: names are ASCII, and a message takes 512 KiB. */
const PAGE = 256 * 1024;
/** A change of more facts than this is asked for as a whole: it is no smaller. */
const MOST_CHANGED = 1_000;

export class Feed {
  readonly #tables: Tables;
  readonly #items = new Map<string, NameItem>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #stops: (() => void)[];
  /** In order of `n`. */
  #log: {readonly n: number; readonly id: string}[] = [];
  /** What changed up to here is not remembered. */
  #floor: Point;
  #sorted: readonly string[] | undefined;

  /** The tables are ready. */
  constructor(tables: Tables) {
    this.#tables = tables;
    this.#floor = tables.services.revision;
    for (const {key, value} of tables.services.list()) this.#set('service', key, factsOf(value));
    for (const {key, value} of tables.endpoints.list()) this.#set('endpoint', key, value);
    for (const {key, value} of tables.nodes.list()) this.#set('node', key, value.spec);
    this.#log = [];
    this.#stops = [
      tables.services.onChange((key, _before, after) => this.#set('service', key, after && factsOf(after.value))),
      tables.endpoints.onChange((key, _before, after) => this.#set('endpoint', key, after?.value)),
      tables.nodes.onChange((key, _before, after) => this.#set('node', key, after?.value.spec)),
    ];
  }

  /** Everything up to here is in it. */
  get at(): Point {
    const {epoch, n} = this.#tables.services.revision;
    return {epoch, n};
  }

  /** Told of each fact that changed, by its id. */
  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  item(id: string): NameItem {
    const [kind = '', key = ''] = splitOnce(id);
    return this.#items.get(id) ?? (kind === 'service' || kind === 'endpoint' ? {kind, key} : {kind: 'node', key});
  }

  /** `after`: the `next` of the page before; `known`: what the machine has. */
  answer(known: Point | undefined, after: string | undefined): Answer {
    const since = after === undefined ? this.#since(known) : undefined;
    return since ? {at: this.at, full: false, items: since.map((id) => this.item(id))} : this.#page(after ?? '');
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  /** undefined: that cannot be told, or is too much. */
  #since(known: Point | undefined): readonly string[] | undefined {
    const {epoch, n} = this.at;
    if (known === undefined || known.epoch !== epoch || this.#floor.epoch !== epoch || known.n < this.#floor.n || known.n > n) return undefined;
    const ids = new Set<string>();
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const entry = this.#log[index];
      if (entry === undefined || entry.n <= known.n) break;
      ids.add(entry.id);
    }
    return ids.size > MOST_CHANGED ? undefined : [...ids];
  }

  #page(after: string): Answer {
    const sorted = (this.#sorted ??= [...this.#items.keys()].sort());
    const items: NameItem[] = [];
    let size = 0;
    for (let index = firstAfter(sorted, after); index < sorted.length; index++) {
      const item = this.#items.get(sorted[index] ?? '');
      if (!item) continue;
      size += JSON.stringify(item).length;
      if (size > PAGE && items.length > 0) return {at: this.at, full: true, items, next: sorted[index - 1] ?? ''};
      items.push(item);
    }
    return {at: this.at, full: true, items};
  }

  #set(kind: NameItem['kind'], key: string, value: object | undefined): void {
    const id = `${kind}/${key}`;
    // The schema keeps what names are made of, and nothing else.
    const item = value === undefined ? undefined : getNames.reply.shape.items.element.parse({kind, key, value});
    const before = this.#items.get(id);
    if (JSON.stringify(before) === JSON.stringify(item)) return;
    if (item) this.#items.set(id, item);
    else this.#items.delete(id);
    if ((before === undefined) !== (item === undefined)) this.#sorted = undefined;
    const {epoch, n} = this.at;
    if (epoch !== this.#floor.epoch) {
      this.#log = [];
      this.#floor = {epoch, n};
    }
    this.#log.push({n, id});
    if (this.#log.length > 2 * REMEMBERED) {
      this.#floor = {epoch, n: this.#log[REMEMBERED - 1]?.n ?? n};
      this.#log = this.#log.slice(REMEMBERED);
    }
    for (const listener of this.#listeners) listener(id);
  }
}

function factsOf({headless, domain, aliases, ports, virtualIp, published, balancing, traffic}: ServiceRecord): object {
  return {headless, ...(domain === undefined ? {} : {domain}), aliases, ports, ...(virtualIp === undefined ? {} : {virtualIp}), ...(published === undefined ? {} : {published}), ...(balancing === undefined ? {} : {balancing}), traffic};
}

function splitOnce(id: string): readonly [string, string] {
  const slash = id.indexOf('/');
  return [id.slice(0, slash), id.slice(slash + 1)];
}

/** Index of the first that is greater, in what is sorted. */
function firstAfter(sorted: readonly string[], after: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
