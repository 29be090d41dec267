/**
 * Key pairs of the bus: Ed25519 in NATS's notation, which is base32 of a kind, the key and a checksum; and claims signed with
 * them. Signing is OpenSSL's: a library in JavaScript takes 20 ms for each, which a thousand machines would feel.
 */
import {createHash, createPrivateKey, createPublicKey, randomBytes, sign as signBytes, verify as verifyBytes, type KeyObject} from 'node:crypto';
import * as z from 'zod';

const kinds = {operator: 14 << 3, account: 0, user: 20 << 3} as const;
const SEED = 18 << 3;
const KEY_BYTES = 32;
/** What precedes the 32 bytes of a key in DER. */
const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b6570032100', 'hex');
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export interface KeyPair {
  /** `O`, `A` or `U`, and 55 characters. */
  readonly publicKey: string;
  /** `SO`, `SA` or `SU`, and 56 characters: secret. */
  readonly seed: string;
  readonly privateKey: KeyObject;
}

/** `raw`: the 32 secret bytes; random when absent. */
export function createKeyPair(kind: keyof typeof kinds, raw: Buffer = randomBytes(KEY_BYTES)): KeyPair {
  return pairOf(kinds[kind], raw);
}

/** Undefined for what is no seed. */
export function keyPairFromSeed(seed: string): KeyPair | undefined {
  const bytes = decode(seed, KEY_BYTES + 2);
  const [first = 0, second = 0] = bytes ?? [];
  const kind = ((first & 7) << 5) | (second >> 3);
  if (!bytes || (first & 0xf8) !== SEED || !Object.values(kinds).some((known) => known === kind)) return undefined;
  return pairOf(kind, bytes.subarray(2));
}

export function isUserKey(text: string): boolean {
  return decode(text, KEY_BYTES + 1)?.[0] === kinds.user;
}

/** Base64url. */
export function sign({privateKey}: KeyPair, text: string): string {
  return signBytes(null, Buffer.from(text), privateKey).toString('base64url');
}

/** Whether the holder of a public key signed this; false for anything that is no key or no signature. */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  const raw = decode(publicKey, KEY_BYTES + 1)?.subarray(1);
  if (!raw) return false;
  const key = createPublicKey({key: Buffer.concat([PUBLIC_DER, raw]), format: 'der', type: 'spki'});
  return verifyBytes(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
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
  const claims = {name, sub: subject, iss: issuer.publicKey, iat: issuedAt, ...(expiresAt === undefined ? {} : {exp: expiresAt}), nats: {...nats, version: 2}};
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('base64url');
  const text = [{typ: 'JWT', alg: 'ed25519-nkey'}, {...claims, jti}].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign(issuer, text)}`;
}

const UserClaims = z.object({name: z.string(), sub: z.string(), iss: z.string(), exp: z.number(), nats: z.object({type: z.literal('user'), sub: z.object({allow: z.array(z.string())}).optional()})});

/** What a user's JWT says, when that issuer signed it; whether it has run out is for the reader to see. */
export function readClaims(issuer: string, jwt: string): z.infer<typeof UserClaims> | undefined {
  const [header = '', body = '', signature = ''] = jwt.split('.');
  if (!isSignedBy(issuer, `${header}.${body}`, signature)) return undefined;
  const claims = UserClaims.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString()));
  return claims.success && claims.data.iss === issuer ? claims.data : undefined;
}

function pairOf(kind: number, raw: Buffer): KeyPair {
  const privateKey = createPrivateKey({key: Buffer.concat([PRIVATE_DER, raw]), format: 'der', type: 'pkcs8'});
  const spki = createPublicKey(privateKey).export({format: 'der', type: 'spki'});
  return {privateKey, publicKey: encode(Buffer.from([kind, ...spki.subarray(-KEY_BYTES)])), seed: encode(Buffer.from([SEED | (kind >> 5), (kind & 31) << 3, ...raw]))};
}

function encode(bytes: Buffer): string {
  const whole = Buffer.alloc(bytes.length + 2);
  bytes.copy(whole);
  whole.writeUInt16LE(checksum(bytes), bytes.length);
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of whole) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(held >> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(held << (5 - bits)) & 31] : text;
}

/** Undefined unless it is of that length and its checksum is right. */
function decode(text: string, length: number): Buffer | undefined {
  if (text.length !== Math.ceil(((length + 2) * 8) / 5)) return undefined;
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of text) {
    const value = alphabet.indexOf(character);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push(held >> bits);
      held &= (1 << bits) - 1;
    }
  }
  const whole = Buffer.from(bytes);
  const payload = whole.subarray(0, length);
  return checksum(payload) === whole.readUInt16LE(length) ? payload : undefined;
}

/** CRC-16 (XMODEM). */
function checksum(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : ((crc << 1) ^ 0x1021) & 0xffff;
    crc &= 0xffff;
  }
  return crc;
}
