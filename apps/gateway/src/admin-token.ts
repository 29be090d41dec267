/** The token that the first gateway of a cluster makes, for whoever may read the data dir. */
import {createHash, randomBytes} from 'node:crypto';
import {chmod, open, readFile, unlink} from 'node:fs/promises';
import {join} from 'node:path';
import {collections, isError} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import type {Logger} from 'pino';
import {systemErrorCode} from './errors.ts';

/** Recognisable to those who scan repositories for secrets. */
const PREFIX = 'hm_';
const KEY = 'admin';
const tokens = collection(collections.gatewayTokens);

export const adminTokenFile = (dataDir: string): string => join(dataDir, 'admin.token');

/** SHA-256, base64url. A token has 256 random bits: its hash gives nothing away. */
export const tokenHash = (token: string): string => createHash('sha256').update(token).digest('base64url');

/** Reads `<dataDir>/admin.token`, or makes it; either way it is mode 0600 then. */
export async function adminToken(dataDir: string): Promise<string> {
  const path = adminTokenFile(dataDir);
  const found = await readToken(path);
  if (found !== undefined) return found;
  const token = PREFIX + randomBytes(32).toString('base64url');
  // Emptied rather than made anew where a crash left it empty.
  await using file = await open(path, 'w', 0o600);
  await file.chmod(0o600);
  await file.writeFile(`${token}\n`);
  await file.sync();
  return token;
}

export interface SharedTokenOptions {
  readonly dataDir: string;
  readonly store: Store;
  readonly logger: Pick<Logger, 'warn'>;
  readonly now: () => number;
}

/**
 * What the admin token of a cluster with several gateways hashes to. The first gateway makes the token (or takes the one in
 * its data dir) and keeps its hash in the store; the others know the hash alone.
 */
export async function sharedTokenHash({dataDir, store, logger, now}: SharedTokenOptions): Promise<string> {
  const path = adminTokenFile(dataDir);
  const mine = await readToken(path);
  const shared = await tokens.in(store).get(KEY);
  if (shared) {
    if (mine !== undefined && tokenHash(mine) !== shared.value.hash) logger.warn({path}, 'admin.token is not the token of this cluster: another gateway has made that one');
    return shared.value.hash;
  }
  // The file first: a crash in between leaves a token that the next start takes up.
  const hash = tokenHash(mine ?? (await adminToken(dataDir)));
  try {
    return (await tokens.in(store).put(KEY, {hash, createdAt: new Date(now()).toISOString()}, {expect: 0})).value.hash;
  } catch (error) {
    if (!isError(error, 'already-exists')) throw error;
    // Another gateway was faster: the token that was just made here is nobody's.
    if (mine === undefined) await unlink(path);
    return sharedTokenHash({dataDir, store, logger, now});
  }
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    const token = (await readFile(path, 'utf8')).trim();
    if (token === '') return undefined;
    await chmod(path, 0o600);
    return token;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
