/** Lists as the API answers them: filtered, sorted, paged by a cursor that survives writes in between, cut to fields. */
import {invalidInput} from '@hivemind/contracts';
import type {Revision} from '@hivemind/store';
import * as z from 'zod';
import {parseLabelSelector} from './label-selector.ts';
import {FIELD_HOMES, namespaceFilter, type ListQuery} from './query.ts';

/** What a list needs of its items. */
export interface Listed {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface ListReply<T> {
  /** With `fields`, each item holds just those. */
  items: T[];
  /** Cursor of the next page, or null. */
  next: string | null;
  /** Where a watch of `/events` may start: `epoch-n`. */
  revision: string;
}

const reserved = new Set(['limit', 'cursor', 'sort', 'order', 'fields', 'labelSelector', 'namespace']);

/** Text of a revision, as `Last-Event-ID` takes it. */
export function revisionText({epoch, n}: Revision): string {
  return `${epoch}-${n}`;
}

/** @throws `invalid-input` 422 when it is not such a text */
export function parseRevision(text: string): Revision {
  const match = /^(.+)-(\d{1,15})$/.exec(text);
  if (!match?.[1]) throw invalidInput('The revision', [{path: 'revision', message: 'is not a revision: it is written epoch-number'}]);
  return {epoch: match[1], n: Number(match[2])};
}

/**
 * One page of `items`, of which those of the asked namespace, labels and filters are kept. `revision` is the store's
 * before the items were read.
 * @throws `invalid-input` 422 for a selector or cursor that cannot be read
 */
export function listReply<T extends Listed>(items: readonly T[], query: ListQuery, revision: Revision): ListReply<T> {
  const kept = items.filter(matcher(query)).map((item) => ({item, place: placeOf(item, query.sort)}));
  const direction = query.order === 'asc' ? 1 : -1;
  kept.sort((a, b) => direction * compare(a.place, b.place));
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, query);
  const start = after === undefined ? 0 : kept.findIndex(({place}) => direction * compare(place, after) > 0);
  const page = start < 0 ? [] : kept.slice(start, start + query.limit);
  const last = page.at(-1);
  const more = last !== undefined && start + query.limit < kept.length;
  const fields = query.fields?.split(',').filter((path) => path !== '');
  return {
    items: page.map(({item}) => (fields === undefined || fields.length === 0 ? item : project(item, fields))),
    next: more ? writeCursor(last.place, query) : null,
    revision: revisionText(revision),
  };
}

function matcher(query: ListQuery): (item: Listed) => boolean {
  const namespace = namespaceFilter(query);
  const labels = query.labelSelector === undefined ? undefined : parseLabelSelector(query.labelSelector);
  const filters = Object.entries(query).flatMap(([name, value]) => (reserved.has(name) || typeof value !== 'string' ? [] : [{name, values: new Set(value.split(','))}]));
  return (item) =>
    (namespace === undefined || item.namespace === undefined || item.namespace === namespace) &&
    (labels === undefined || labels(item.labels ?? {})) &&
    filters.every(({name, values}) => values.has(String(fieldOf(item, name))));
}

/** A field by its dotted path; a short name is looked for in spec, status and meta too. */
function fieldOf(item: object, path: string): unknown {
  const parts = path.split('.');
  const direct = valueAt(item, parts);
  if (direct !== undefined) return direct;
  for (const home of FIELD_HOMES) {
    const value = valueAt(item, [home, ...parts]);
    if (value !== undefined) return value;
  }
  return undefined;
}

function valueAt(item: object, parts: readonly string[]): unknown {
  let value: unknown = item;
  for (const part of parts) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

const Scalar = z.union([z.string(), z.number(), z.null()]);
/** Where an item stands in the order: the sorted field, then what makes it unique. */
const Place = z.tuple([Scalar, z.string(), z.string()]);
type Place = z.infer<typeof Place>;

function placeOf(item: Listed, sort: string): Place {
  const value = fieldOf(item, sort);
  const scalar = typeof value === 'string' || typeof value === 'number' ? value : value === undefined || value === null ? null : JSON.stringify(value);
  return [scalar, item.namespace ?? '', item.name];
}

function compare(a: Place, b: Place): number {
  for (const [index, left] of a.entries()) {
    const order = compareScalars(left, b[index] ?? null);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers, then text, then what has no value. */
function compareScalars(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  const rank = (value: string | number | null): number => (value === null ? 2 : typeof value === 'string' ? 1 : 0);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  return (a ?? '') < (b ?? '') ? -1 : 1;
}

const Cursor = z.object({sort: z.string(), order: z.string(), after: Place});

function writeCursor(after: Place, {sort, order}: ListQuery): string {
  return Buffer.from(JSON.stringify({sort, order, after})).toString('base64url');
}

function readCursor(text: string, {sort, order}: ListQuery): Place {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    json = undefined;
  }
  const cursor = Cursor.safeParse(json);
  if (!cursor.success) throw invalidInput('The query', [{path: 'cursor', message: 'is not a cursor: pass the `next` of the page before, unchanged'}]);
  if (cursor.data.sort !== sort || cursor.data.order !== order) throw invalidInput('The query', [{path: 'cursor', message: 'belongs to a list in another order: keep sort and order the same'}]);
  return cursor.data.after;
}

function project<T extends Listed>(item: T, fields: readonly string[]): T {
  const kept: Record<string, unknown> = {};
  for (const path of fields) {
    const home = [[], ...FIELD_HOMES.map((name) => [name])].find((prefix) => valueAt(item, [...prefix, ...path.split('.')]) !== undefined);
    if (home) assign(kept, [...home, ...path.split('.')], valueAt(item, [...home, ...path.split('.')]));
  }
  // `fields` is the caller's wish for less than a T; its type says what may be there.
  return kept as T;
}

function assign(target: Record<string, unknown>, [head = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const below = target[head];
  const child: Record<string, unknown> = typeof below === 'object' && below !== null ? {...below} : {};
  assign(child, rest, value);
  target[head] = child;
}
