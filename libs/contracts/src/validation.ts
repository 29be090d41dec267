/** From a zod failure to field errors that name the field, the value, and the nearest right name. */
import type * as z from 'zod';
import {commonErrors, type FieldError, type HivemindError} from './error.ts';

/** Edit distance with transpositions (optimal string alignment), capped for speed. */
export function editDistance(a: string, b: string): number {
  const rows = Array.from({length: a.length + 1}, (_, i) => Array.from({length: b.length + 1}, (_, j) => (i === 0 ? j : j === 0 ? i : 0)));
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, at(i - 2, j - 2) + 1);
      const row = rows[i];
      if (row) row[j] = best;
    }
  }
  return at(a.length, b.length);
}

/** The known name closest to `name`, if it is close enough to be what was meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  let best: {name: string; distance: number} | undefined;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (best === undefined || distance < best.distance) best = {name: candidate, distance};
  }
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 2.5)) ? best.name : undefined;
}

interface SchemaInternals {readonly def: {readonly type: string; readonly shape?: Record<string, unknown>; readonly innerType?: unknown; readonly element?: unknown; readonly valueType?: unknown; readonly options?: readonly unknown[]; readonly in?: unknown}}
function internals(schema: unknown): SchemaInternals['def'] | undefined {
  if (typeof schema !== 'object' || schema === null || !('def' in schema)) return undefined;
  return schema.def as SchemaInternals['def'];
}

/** Names known at `path` inside `schema`: walks objects, arrays, records and wrappers. */
export function knownNames(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  const def = internals(schema);
  if (!def) return [];
  if (def.type === 'union') return (def.options ?? []).flatMap((option) => knownNames(option, path));
  if (def.innerType !== undefined) return knownNames(def.innerType, path);
  if (def.type === 'pipe') return knownNames(def.in, path);
  const [head, ...rest] = path;
  if (head === undefined) return def.type === 'object' ? Object.keys(def.shape ?? {}) : [];
  if (def.type === 'object') return knownNames(def.shape?.[String(head)], rest);
  if (def.type === 'array') return knownNames(def.element, rest);
  if (def.type === 'record') return knownNames(def.valueType, rest);
  return [];
}

/** `['spec','ports',0,'host']` → `spec.ports[0].host`. */
export function dottedPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`), '');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** All failures as field errors. */
export function fieldErrors(error: z.ZodError, schema: z.ZodType, input: unknown): readonly FieldError[] {
  const errors: FieldError[] = [];
  for (const issue of flatten(error.issues)) {
    if (issue.code === 'unrecognized_keys') {
      const known = knownNames(schema, issue.path);
      for (const key of issue.keys) {
        const nearest = nearestName(key, known);
        errors.push({
          path: dottedPath([...issue.path, key]),
          message: nearest === undefined ? `is not a known field; known here: ${known.join(', ')}` : `is not a known field; did you mean ${nearest}?`,
        });
      }
    } else {
      const value = valueAt(input, issue.path);
      errors.push({path: dottedPath(issue.path), message: value === undefined && issue.code === 'invalid_type' ? 'is needed' : `${shown(value)}: ${issue.message}`});
    }
  }
  return errors;
}

/** Of a union's alternatives, report the one that came closest (fewest, deepest issues). */
function flatten(issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[] = []): readonly z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const depth = (branch: readonly z.core.$ZodIssue[]): number => Math.max(...branch.map((inner) => inner.path.length * 2 + (inner.code === 'invalid_type' ? 0 : 1)));
      const closest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0] ?? [];
      return flatten(closest, path);
    }
    return [{...issue, path}];
  });
}

/**
 * Parse input of a person or tool.
 * @throws `invalid-input` (422) with a field error for each thing that is wrong.
 */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown, what: string): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw invalidInput(what, fieldErrors(result.error, schema, input));
}

export function invalidInput(what: string, errors: readonly FieldError[]): HivemindError {
  const first = errors[0];
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return commonErrors['invalid-input'](`${what} is not valid: ${first ? `${first.path} ${first.message}` : 'it could not be read'}${more}`, {errors});
}

/** JSON merge patch, RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? {...target} : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete base[key];
    else base[key] = mergePatch(base[key], value);
  }
  return base;
}
