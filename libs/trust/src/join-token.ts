/**
 * A join token: `hm1.<id>.<secret>.<hash of the authority>`. The hash makes the first contact a trusted one, whoever carries
 * it; the secret, 256 random bits, is shown once and kept as its hash only.
 */
import {createHash, randomBytes, timingSafeEqual} from 'node:crypto';
import {trustErrors} from './errors.ts';

export interface JoinTokenParts {
  readonly id: string;
  readonly secret: string;
  /** See `authorityHash`. */
  readonly authorityHash: string;
}

const format = /^hm1\.([0-9a-f]{12})\.([\w-]{43})\.([\w-]{43})$/;

export function newJoinToken(authorityHash: string): JoinTokenParts & {readonly token: string} {
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return {id, secret, authorityHash, token: `hm1.${id}.${secret}.${authorityHash}`};
}

/** @throws `join-token-malformed` 422 */
export function parseJoinToken(text: string): JoinTokenParts {
  const [, id, secret, authorityHash] = format.exec(text.trim()) ?? [];
  if (id === undefined || secret === undefined || authorityHash === undefined) {
    throw trustErrors['join-token-malformed']('This is no join token: it begins with hm1. and has four parts with dots between. Copy the whole of what hivemind node join-token printed.', {errors: [{path: 'token', message: 'is not a join token, or not all of one'}]});
  }
  return {id, secret, authorityHash};
}

export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** In a time that says nothing of how near it was. */
export function isSecret(secret: string, hash: string): boolean {
  const [given, expected] = [Buffer.from(secretHash(secret)), Buffer.from(hash)];
  return given.length === expected.length && timingSafeEqual(given, expected);
}
