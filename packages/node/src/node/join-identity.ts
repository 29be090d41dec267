/**
 * Who this machine is: `agent/identity.json` of the data dir, mode 0600. Its keys are written before they are used, so that a
 * join whose answer was lost is asked for again as the same machine.
 */
import {generateKeyPairSync} from 'node:crypto';
import {mkdir, open, readFile, rename} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {DnsLabel, JoinReply} from '@hivemind/contracts';
import {createKeyPair} from '@hivemind/trust/node';
import * as z from 'zod';
import {joiningErrors} from './join-errors.ts';

const Membership = JoinReply.extend({
  /** Of the gateway that it joined by. */
  gateway: z.string(),
  /** By this machine's clock: when `busJwt` was given. RFC 3339. */
  receivedAt: z.string(),
});
export const Identity = z.object({
  name: DnsLabel,
  nkey: z.string(),
  nkeySeed: z.string(),
  /** X25519. SPKI and PKCS #8, DER in base64. */
  sealKey: z.string(),
  sealPrivateKey: z.string(),
  /** Absent until the cluster has answered. */
  membership: Membership.optional(),
});
export type Identity = z.infer<typeof Identity>;
export type JoinedIdentity = Identity & {readonly membership: z.infer<typeof Membership>};

const identityFile = (dataDir: string): string => join(dataDir, 'agent', 'identity.json');

export function newIdentity(name: string): Identity {
  const {publicKey: nkey, seed: nkeySeed} = createKeyPair('user');
  const {publicKey, privateKey} = generateKeyPairSync('x25519', {publicKeyEncoding: {type: 'spki', format: 'der'}, privateKeyEncoding: {type: 'pkcs8', format: 'der'}});
  return {name, nkey, nkeySeed, sealKey: publicKey.toString('base64'), sealPrivateKey: privateKey.toString('base64')};
}

/** @throws `identity-damaged` 500 */
export async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  const path = identityFile(dataDir);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return Identity.parse(JSON.parse(text));
  } catch (cause) {
    throw joiningErrors['identity-damaged'](`${path} cannot be read. Put it back from a backup, or remove it and join again: hivemind node rm NAME, then what hivemind node join-token prints.`, {cause});
  }
}

/** Whole or not at all. */
export async function writeIdentity(dataDir: string, identity: Identity): Promise<void> {
  const path = identityFile(dataDir);
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(`${JSON.stringify(identity, null, 2)}\n`);
    await file.sync();
  }
  await rename(`${path}.new`, path);
}
