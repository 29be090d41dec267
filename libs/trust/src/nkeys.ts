/** Key pairs of the bus (Ed25519, in NATS's notation), and claims signed with them. The library is loaded when it is needed. */
import {createHash} from 'node:crypto';
import type * as Nkeys from '@nats-io/nkeys';
import type {KeyPair} from '@nats-io/nkeys';

export type {KeyPair};

let loaded: Promise<typeof Nkeys> | undefined;
const library = () => (loaded ??= import('@nats-io/nkeys'));

export async function createKeyPair(kind: 'operator' | 'account' | 'user'): Promise<KeyPair> {
  const {createAccount, createOperator, createUser} = await library();
  return {operator: createOperator, account: createAccount, user: createUser}[kind]();
}

export async function keyPairFromSeed(seed: string): Promise<KeyPair> {
  return (await library()).fromSeed(Buffer.from(seed));
}

export function seedOf(pair: KeyPair): string {
  return Buffer.from(pair.getSeed()).toString('ascii');
}

/** A user's public key: `U` and 55 characters of base32, the last bytes a checksum. */
export async function isUserKey(text: string): Promise<boolean> {
  if (!/^U[A-Z2-7]{55}$/.test(text)) return false;
  try {
    return (await library()).fromPublic(text).getPublicKey() === text;
  } catch {
    return false;
  }
}

/** Whether the holder of a public key signed this; false for anything that is no key or no signature. Base64url. */
export async function isSignedBy(publicKey: string, text: string, signature: string): Promise<boolean> {
  try {
    return (await library()).fromPublic(publicKey).verify(Buffer.from(text), Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

export function sign(pair: KeyPair, text: string): string {
  return Buffer.from(pair.sign(Buffer.from(text))).toString('base64url');
}

export interface Claims {
  readonly name: string;
  /** Public key that the claims are about. */
  readonly subject: string;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  /** Seconds since the epoch; never when absent. */
  readonly expiresAt?: number;
  readonly nats: object;
}

/** A JWT as NATS reads it (version 2). */
export function signClaims(issuer: KeyPair, {name, subject, issuedAt, expiresAt, nats}: Claims): string {
  const claims = {name, sub: subject, iss: issuer.getPublicKey(), iat: issuedAt, ...(expiresAt === undefined ? {} : {exp: expiresAt}), nats: {...nats, version: 2}};
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('base64url');
  const text = [{typ: 'JWT', alg: 'ed25519-nkey'}, {...claims, jti}].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign(issuer, text)}`;
}
