/** Bodies as people write them: with a `spec`, or with its fields written flat beside the name. */
import type {FastifyRequest} from 'fastify';
import type * as z from 'zod';

const envelope = new Set(['kind', 'name', 'namespace', 'labels', 'annotations', 'spec', 'status', 'meta']);
const manifests = new WeakSet<object>();

/**
 * Marks a body schema (of `resourceBody`) as one that may be written flat; under `…/:name` the name may be left out, too.
 * @example app.put('/apps/:name', {schema: {params: Name, body: manifest(AppBody)}}, …)
 */
export function manifest<S extends z.ZodType>(schema: S): S {
  manifests.add(schema);
  return schema;
}

/** The body with its `spec` in place, and with `name` where it has none. What is not an object stays as it is. */
export function withSpec(body: unknown, name?: string): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const named = name === undefined || 'name' in body ? {} : {name};
  if ('spec' in body) return {...named, ...body};
  const entries = Object.entries(body);
  return {...named, ...Object.fromEntries(entries.filter(([key]) => envelope.has(key))), spec: Object.fromEntries(entries.filter(([key]) => !envelope.has(key)))};
}

/** Before validation: the body of a route that takes a manifest, as its schema expects it. */
export function unfoldManifest(request: FastifyRequest): void {
  const schema = request.routeOptions.schema?.body;
  if (typeof schema !== 'object' || schema === null || !manifests.has(schema)) return;
  const {params} = request;
  const name = typeof params === 'object' && params !== null && 'name' in params && typeof params.name === 'string' ? params.name : undefined;
  request.body = withSpec(request.body, name);
}
