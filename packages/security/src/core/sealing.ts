/**
 * How secrets are sealed: at rest with the control plane's key, and on their way to a node with a key that only that
 * request's two ends can derive. Pure: keys and nonces are parameters. All AES-256-GCM; a nonce is used once.
 */
import {createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, type KeyObject} from 'node:crypto';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';
/** First byte of what is at rest, so that another scheme can follow. */
const AT_REST_V1 = 1;
/** Binds the derived key to its use. */
const TRANSIT_INFO = 'hivemind.secrets';
/** DER around raw X25519 keys (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Base64 of version, nonce, cipher text and tag. `place` must be the same to open it: a sealed value cannot be moved to another record. */
export function sealAtRest(key: Buffer, nonce: Buffer, place: string, text: string): string {
  return Buffer.concat([Buffer.from([AT_REST_V1]), nonce, encrypt(key, nonce, text, place)]).toString('base64');
}

/** The text, or undefined when it was sealed with another key, for another place, or was changed. */
export function openAtRest(key: Buffer, place: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes[0] !== AT_REST_V1 || bytes.length < 1 + NONCE_BYTES + TAG_BYTES) return undefined;
  return decrypt(key, bytes.subarray(1, 1 + NONCE_BYTES), bytes.subarray(1 + NONCE_BYTES), place);
}

export interface TransitSealed {
  /** Raw X25519 public key to derive the key with, base64 as all here. */
  readonly publicKey: string;
  readonly nonce: string;
  /** Cipher text and tag. */
  readonly sealed: string;
}

/**
 * Seals `text` for whoever holds the private half of `theirPublicKey` (raw X25519, base64). `privateSeed` and `nonce` are
 * random and used once. Undefined when that is not a public key.
 */
export function sealForTransit(theirPublicKey: string, privateSeed: Buffer, nonce: Buffer, text: string): TransitSealed | undefined {
  const ours = createPrivateKey({key: Buffer.concat([PKCS8_PREFIX, privateSeed]), format: 'der', type: 'pkcs8'});
  const key = transitKey(ours, Buffer.from(theirPublicKey, 'base64'));
  if (!key) return undefined;
  const publicKey = createPublicKey(ours).export({format: 'der', type: 'spki'}).subarray(SPKI_PREFIX.length);
  return {publicKey: publicKey.toString('base64'), nonce: nonce.toString('base64'), sealed: encrypt(key, nonce, text).toString('base64')};
}

function transitKey(ours: KeyObject, theirs: Buffer): Buffer | undefined {
  if (theirs.length !== KEY_BYTES) return undefined;
  try {
    const publicKey = createPublicKey({key: Buffer.concat([SPKI_PREFIX, theirs]), format: 'der', type: 'spki'});
    return Buffer.from(hkdfSync('sha256', diffieHellman({privateKey: ours, publicKey}), Buffer.alloc(0), TRANSIT_INFO, KEY_BYTES));
  } catch {
    // A point of low order: the shared secret would be known to everyone.
    return undefined;
  }
}

function encrypt(key: Buffer, nonce: Buffer, text: string, place?: string): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, {authTagLength: TAG_BYTES});
  if (place !== undefined) cipher.setAAD(Buffer.from(place));
  return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, nonce: Buffer, sealed: Buffer, place: string): string | undefined {
  const decipher = createDecipheriv(ALGORITHM, key, nonce, {authTagLength: TAG_BYTES});
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
