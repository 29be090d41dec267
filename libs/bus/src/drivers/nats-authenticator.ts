/**
 * Proves to a server that this side holds the key of its JWT. Signed by OpenSSL: the library's own signing is JavaScript, and
 * on a busy machine takes longer than a server waits for it.
 */
import {createPrivateKey, sign} from 'node:crypto';
import type {Authenticator} from 'nats';
import type {CredentialSource} from './nats.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** What precedes the 32 bytes of an Ed25519 key in DER. */
const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
/** A seed in NATS's notation: two bytes of what it is, 32 of the key, two of a checksum. */
const KEY = {from: 2, to: 34} as const;

export function jwtAuthenticator(current: CredentialSource['current']): Authenticator {
  return (nonce) => {
    const {jwt, seed} = current();
    const key = createPrivateKey({key: Buffer.concat([PRIVATE_DER, base32(seed).subarray(KEY.from, KEY.to)]), format: 'der', type: 'pkcs8'});
    return {jwt, sig: sign(null, Buffer.from(nonce ?? ''), key).toString('base64url')};
  };
}

function base32(text: string): Buffer {
  const bits = [...text].map((character) => alphabet.indexOf(character).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
