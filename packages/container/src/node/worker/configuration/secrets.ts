/**
 * Secret values, sealed on their way: for each request the agent makes a key pair (X25519); the security manager answers
 * with a public key of its own, and both derive the AES-256-GCM key by HKDF-SHA256 (empty salt, info `hivemind.secrets`).
 * `sealed` is the cipher text followed by the 16 bytes of the tag.
 */
import {createDecipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync} from 'node:crypto';
import {type Bus, call} from '@hivemind/bus';
import {OpenedSecrets, resourceKey} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {configurationErrors} from './errors.ts';

const INFO = 'hivemind.secrets';
const TAG_BYTES = 16;
/** DER around a raw X25519 public key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

export interface Reference {
  readonly namespace: string;
  readonly name: string;
}

/** name → key → bytes, of one namespace. */
export type Opened = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

/** @throws `secrets-unavailable`, `secret-not-found` */
export async function openSecrets(bus: Bus, node: string, session: number | undefined, namespace: string, names: readonly string[], signal: AbortSignal): Promise<Opened> {
  if (names.length === 0) return new Map();
  if (session === undefined) throw configurationErrors['secrets-unavailable']('The node is not registered with the control plane, which holds the secrets.');
  const pair = generateKeyPairSync('x25519');
  const publicKey = pair.publicKey.export({format: 'der', type: 'spki'}).subarray(SPKI_PREFIX.length).toString('base64');
  const secrets = names.map((name) => ({namespace, name}));
  const reply = await call(bus, subjects.openSecrets, {node}, {session, publicKey, secrets}, {signal});
  const [missing] = reply.missing;
  if (missing) throw configurationErrors['secret-not-found'](`The secret ${missing.name} does not exist in namespace ${missing.namespace}.`);
  const theirs = createPublicKey({key: Buffer.concat([SPKI_PREFIX, Buffer.from(reply.publicKey, 'base64')]), format: 'der', type: 'spki'});
  const shared = diffieHellman({privateKey: pair.privateKey, publicKey: theirs});
  const key = Buffer.from(hkdfSync('sha256', shared, Buffer.alloc(0), INFO, 32));
  const sealed = Buffer.from(reply.sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(reply.nonce, 'base64'), {authTagLength: TAG_BYTES});
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const text = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  const opened = OpenedSecrets.parse(JSON.parse(text));
  return new Map(names.map((name) => [name, decoded(opened[resourceKey(namespace, name)] ?? {})]));
}

export function decoded(data: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}
