/** Pieces of query schemas that routes share. Query values arrive as text. */
import {DnsLabel, dottedPath, invalidInput, knownNames, nearestName} from '@hivemind/contracts';
import * as z from 'zod';

export const DEFAULT_NAMESPACE = 'default';
export const ALL_NAMESPACES = '*';
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** `true` or `false`. */
export const queryFlag = z.enum(['true', 'false'], 'is neither true nor false').transform((text) => text === 'true');

/** A whole number. */
export function queryInteger(min: number, max: number) {
  return z.string().regex(/^-?\d{1,15}$/, 'is not a whole number').transform(Number).pipe(z.number().min(min, `is less than ${min}`).max(max, `is more than ${max}`));
}

/** Query of routes about one namespaced resource. */
export const NamespaceQuery = z.strictObject({namespace: DnsLabel.optional()});

/** The same for writes that can be tried first. */
export const WriteQuery = NamespaceQuery.extend({dryRun: queryFlag.default(false)});

const listFields = {
  limit: queryInteger(1, MAX_LIMIT).default(DEFAULT_LIMIT),
  cursor: z.string().max(4096).optional(),
  sort: z.string().max(253).default('name'),
  order: z.enum(['asc', 'desc']).default('asc'),
  fields: z.string().max(4096).optional(),
  labelSelector: z.string().max(4096).optional(),
} as const;
const listNamespace = z.union([DnsLabel, z.literal(ALL_NAMESPACES)], 'is neither a namespace nor *').optional();
const noNamespace = z.undefined('is not taken here: these are not in namespaces').optional();

/** What every list takes; made by {@link listQuery}. Filters are the rest, text each. */
export interface ListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly sort: string;
  readonly order: 'asc' | 'desc';
  readonly fields?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly namespace?: string | undefined;
}

export interface ListQueryOptions<F extends string> {
  /** Schema of one item: `sort` and `fields` take its fields only. */
  readonly item: z.ZodType;
  /** Fields that may be filtered by; a comma in the value means any of. */
  readonly filters?: readonly F[];
  /** Whether it takes `namespace`; default true. */
  readonly namespaced?: boolean;
}

/**
 * The query schema of a list.
 * @example app.get('/containers', {schema: {querystring: listQuery({item: Container, filters: ['app', 'node', 'phase']})}}, …)
 */
export function listQuery<const F extends string = never>({item, filters = [], namespaced: withNamespace = true}: ListQueryOptions<F>) {
  // The keys are F by construction; fromEntries forgets it.
  const filterShape = Object.fromEntries(filters.map((name) => [name, z.string().max(4096).optional()])) as {[K in F]: z.ZodOptional<z.ZodString>};
  const known = z.string().superRefine((path, context) => {
    const message = unknownField(item, path);
    if (message !== undefined) context.addIssue({code: 'custom', message});
  });
  const field = {sort: listFields.sort.pipe(known), fields: listFields.fields.superRefine((list, context) => {
    for (const path of (list ?? '').split(',').filter((part) => part !== '')) {
      const message = unknownField(item, path);
      if (message !== undefined) context.addIssue({code: 'custom', message: `${path} ${message}`});
    }
  })};
  return z.strictObject({...listFields, ...field, namespace: withNamespace ? listNamespace : noNamespace, ...filterShape});
}

/** Where a short field name may stand in a resource. */
export const FIELD_HOMES = ['spec', 'status', 'meta'] as const;

/** Why `path` is not a field of the items, or undefined when it is. Below two levels nothing is checked: there are maps. */
function unknownField(item: z.ZodType, path: string): string | undefined {
  const parts = path.split('.');
  const [head = '', second] = parts;
  const top = knownNames(item, []);
  if (top.length === 0) return undefined;
  if (top.includes(head)) {
    const below = second === undefined ? [] : knownNames(item, [head]);
    if (second === undefined || below.length === 0 || below.includes(second)) return undefined;
    return suggestion(second, below, dottedPath([head]));
  }
  const short = FIELD_HOMES.flatMap((home) => knownNames(item, [home]));
  return short.includes(head) ? undefined : suggestion(head, [...top, ...short], 'it');
}

function suggestion(name: string, known: readonly string[], where: string): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? `is not a field; ${where} has ${known.join(', ')}` : `is not a field; did you mean ${nearest}?`;
}

/**
 * The namespace that a request is about: the query's, the body's, or `default`.
 * @throws `invalid-input` when query and body name two different ones
 */
export function namespaceOf(query: {readonly namespace?: string | undefined}, body?: {readonly namespace?: string | undefined}): string {
  if (query.namespace !== undefined && body?.namespace !== undefined && query.namespace !== body.namespace) {
    throw invalidInput('The request', [{path: 'namespace', message: `is ${body.namespace} in the body and ${query.namespace} in the query: leave one out`}]);
  }
  return body?.namespace ?? query.namespace ?? DEFAULT_NAMESPACE;
}

/** The namespace that a list is limited to; undefined means all of them. */
export function namespaceFilter(query: {readonly namespace?: string | undefined}): string | undefined {
  return query.namespace === ALL_NAMESPACES ? undefined : (query.namespace ?? DEFAULT_NAMESPACE);
}

/** @throws `invalid-input` when a body names another resource than the path */
export function sameName(path: string, body: {readonly name: string}): void {
  if (path !== body.name) throw invalidInput('The request', [{path: 'name', message: `is ${body.name} in the body and ${path} in the path: names cannot be changed`}]);
}
