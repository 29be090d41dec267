/**
 * memberlist's encryption: AES-GCM with a random 12-byte nonce. Sealed: version byte, nonce, ciphertext, 16-byte tag. Version 1 (sent)
 * is as long as the plaintext; version 0 (read only) pads it to the block as PKCS #7 does. The key's length picks AES-128, 192 or 256.
 */
import {createCipheriv, createDecipheriv, type CipherGCMTypes, type KeyObject, randomFillSync} from 'node:crypto';

const NONCE = 12;
const TAG = 16;
/** Bytes that sealing adds. */
export const SEAL_BYTES = 1 + NONCE + TAG;

/** The keys of a ring: the first one seals, all of them open. */
export type Keys = readonly [KeyObject, ...KeyObject[]];

/** Random bytes are drawn in bulk: a system call for every packet would cost more than the cipher. */
const pool = Buffer.alloc(NONCE * 256);
let drawn = pool.length;

function nonce(): Buffer {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += NONCE;
  return Buffer.from(pool.subarray(drawn - NONCE, drawn));
}

function algorithm(key: KeyObject): CipherGCMTypes {
  const length = key.symmetricKeySize;
  return length === 16 ? 'aes-128-gcm' : length === 24 ? 'aes-192-gcm' : 'aes-256-gcm';
}

/** `authenticated`: bytes that are not sent here, but that the other side must hold too. */
export function seal(key: KeyObject, plain: Uint8Array, authenticated?: Uint8Array): Buffer {
  const iv = nonce();
  const cipher = createCipheriv(algorithm(key), key, iv, {authTagLength: TAG});
  if (authenticated && authenticated.length > 0) cipher.setAAD(authenticated);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([Buffer.of(1), iv, body, cipher.getAuthTag()]);
}

/** Undefined: no key of these sealed it. */
export function open(keys: Keys, sealed: Buffer, authenticated?: Uint8Array): Buffer | undefined {
  const version = sealed[0];
  if (sealed.length < SEAL_BYTES || (version !== 0 && version !== 1)) return undefined;
  const iv = sealed.subarray(1, 1 + NONCE);
  const body = sealed.subarray(1 + NONCE, sealed.length - TAG);
  const tag = sealed.subarray(sealed.length - TAG);
  for (const key of keys) {
    const decipher = createDecipheriv(algorithm(key), key, iv, {authTagLength: TAG});
    if (authenticated && authenticated.length > 0) decipher.setAAD(authenticated);
    decipher.setAuthTag(tag);
    const plain = decipher.update(body);
    try {
      decipher.final();
    } catch {
      // Not this key: Node has no other way to say so.
      continue;
    }
    return version === 1 ? plain : unpadded(plain);
  }
  return undefined;
}

function unpadded(plain: Buffer): Buffer | undefined {
  const padding = plain.at(-1) ?? 0;
  return padding >= 1 && padding <= 16 && padding <= plain.length ? plain.subarray(0, plain.length - padding) : undefined;
}
