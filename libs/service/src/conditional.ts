/** ETag and If-Match: a write that lost the race is told so (412) instead of undoing the winner's. */
import {commonErrors} from '@hivemind/contracts';
import type {FastifyReply, FastifyRequest} from 'fastify';

/** The version that the caller saw, from `If-Match`; undefined when it did not say, or said `*`. @throws `malformed` 400 */
export function ifMatch(request: Pick<FastifyRequest, 'headers'>): number | undefined {
  const header = request.headers['if-match']?.trim();
  if (header === undefined || header === '*') return undefined;
  const version = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header)?.[1];
  if (version === undefined) throw commonErrors.malformed('If-Match is not an ETag of this API: send back the ETag as it was answered, or leave it out.');
  return Number(version);
}

/** @throws `version-mismatch` 412 when the caller saw another version than `current` */
export function checkMatch(expected: number | undefined, current: number, what: string): void {
  if (expected !== undefined && expected !== current) {
    throw commonErrors['version-mismatch'](`${what} is at version ${current}, not ${expected}: read it again, and decide anew.`);
  }
}

interface Versioned {
  readonly meta: {readonly version: number};
}

/** Answers a resource with its ETag. */
export function withETag<T extends Versioned>(reply: FastifyReply, resource: T): T {
  void reply.header('etag', `"${resource.meta.version}"`);
  return resource;
}

/** Answers 201 with the new resource's ETag and place. */
export function created<T extends Versioned>(reply: FastifyReply, location: string, resource: T): T {
  void reply.code(201).header('location', location);
  return withETag(reply, resource);
}
