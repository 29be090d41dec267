/**
 * Ignores, and keeps, the fields that a newer release wrote and this one does not know (law 14).
 *
 * What the schema dropped while reading is what is unknown: it is in the stored document and not in what was parsed from
 * it. Those fields are put back where they were, unless the object they were in is gone.
 */
import type * as z from 'zod';

type Plain = Readonly<Record<string, unknown>>;

/**
 * Parses with unknown fields left out, also by a schema that is strict because it is HTTP's too. Throws a ZodError.
 * A union may name what is unknown one level a time, hence several rounds.
 */
export function parseIgnoringUnknown<T>(schema: z.ZodType<T>, document: unknown): T {
  let known = document;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const result = schema.safeParse(known);
    if (result.success) return result.data;
    const unknown = unknownFields(result.error.issues, []);
    if (unknown === undefined) throw result.error;
    known = structuredClone(known);
    for (const path of unknown) removeField(known, path);
  }
  return schema.parse(known);
}

const MAX_ROUNDS = 8;
type Path = readonly PropertyKey[];

/** The paths of unknown fields when nothing else is wrong; of a union, those of a branch of which that is true. */
function unknownFields(issues: readonly z.core.$ZodIssue[], at: Path): Path[] | undefined {
  const found: Path[] = [];
  for (const issue of issues) {
    const path = [...at, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      found.push(...issue.keys.map((key) => [...path, key]));
    } else if (issue.code === 'invalid_union') {
      const branch = issue.errors.map((errors) => unknownFields(errors, path)).find((fields) => fields !== undefined);
      if (!branch) return undefined;
      found.push(...branch);
    } else {
      return undefined;
    }
  }
  return found;
}

function removeField(document: unknown, path: Path): void {
  let parent = document;
  for (const step of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return;
    parent = Reflect.get(parent, step);
  }
  const field = path.at(-1);
  if (typeof parent === 'object' && parent !== null && field !== undefined) Reflect.deleteProperty(parent, field);
}

/** `next` with the unknown fields of `stored`; `parsed` is what the schema made of `stored`. */
export function preserveUnknown(stored: unknown, parsed: unknown, next: unknown): unknown {
  if (isPlain(stored) && isPlain(parsed) && isPlain(next)) return preserveInObject(stored, parsed, next);
  if (Array.isArray(stored) && Array.isArray(parsed) && Array.isArray(next) && stored.length === parsed.length) {
    return preserveInArray(stored, parsed, next);
  }
  return next;
}

function preserveInObject(stored: Plain, parsed: Plain, next: Plain): Plain {
  const result: Record<string, unknown> = {...next};
  for (const [field, value] of Object.entries(stored)) {
    if (field in parsed) {
      if (field in next) result[field] = preserveUnknown(value, parsed[field], next[field]);
    } else if (!(field in next)) {
      result[field] = value;
    }
  }
  return result;
}

/** Elements are matched by name, so that one that moved takes its unknown fields along; nameless ones by place. */
function preserveInArray(stored: readonly unknown[], parsed: readonly unknown[], next: readonly unknown[]): unknown[] {
  const before = new Map(parsed.map((element, index) => [identity(element, index), index]));
  return next.map((element, index) => {
    const from = before.get(identity(element, index));
    return from === undefined ? element : preserveUnknown(stored[from], parsed[from], element);
  });
}

function identity(element: unknown, index: number): string {
  if (isPlain(element)) {
    for (const field of ['uid', 'id', 'name', 'key']) {
      const value = element[field];
      if (typeof value === 'string') return `${field}=${value}`;
    }
  }
  return `#${index}`;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
