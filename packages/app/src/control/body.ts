/** Bodies as people write them: with a `spec`, or with its fields written flat beside the name. */
import {commonErrors, parseInput} from '@hivemind/contracts';
import type {z} from 'zod';

const envelope = new Set(['kind', 'name', 'namespace', 'labels', 'annotations', 'spec', 'status', 'meta']);

/** The body with its `spec` in place, and the path's name where the body has none. What is not an object stays as it is. */
export function withSpec(body: unknown, name?: string): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const named = name === undefined || 'name' in body ? {} : {name};
  if ('spec' in body) return {...named, ...body};
  const entries = Object.entries(body);
  return {...named, ...Object.fromEntries(entries.filter(([key]) => envelope.has(key))), spec: Object.fromEntries(entries.filter(([key]) => !envelope.has(key)))};
}

/** @throws `malformed` 400 without a body, `invalid-input` 422 naming each field that is wrong */
export function readResource<S extends z.ZodType>(schema: S, body: unknown, what: string, name?: string): z.output<S> {
  if (body === undefined || body === null) throw commonErrors.malformed('This route needs a body: send it as application/json or application/yaml.');
  return parseInput(schema, withSpec(body, name), what);
}
