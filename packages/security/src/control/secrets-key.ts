/**
 * The key that secrets are sealed with at rest: a file of mode 0600 beside the store, never in it; or, where control services
 * share a cluster key, one that each of them derives from that.
 */
import {hkdfSync, randomBytes} from 'node:crypto';
import {chmod, link, open, readFile, unlink} from 'node:fs/promises';
import {join} from 'node:path';
import {errors} from '../errors.ts';
import {KEY_BYTES} from '../core/sealing.ts';

export const secretsKeyFile = (dataDir: string): string => join(dataDir, 'secrets.key');

export interface SecretsKeyOptions {
  readonly dataDir: string;
  /** Whether something was sealed with a key that may be lost. */
  readonly sealedBefore: () => Promise<boolean>;
  /** What control services share, if anything. */
  readonly clusterKey?: (() => Promise<Buffer>) | undefined;
}

/**
 * Reads the file, which a cluster that was once one process still has; else derives the key from the cluster key; else makes
 * the file when nothing was sealed with a lost one.
 * @throws `secrets-key-missing`, `secrets-key-invalid` 503; what `clusterKey` throws
 */
export async function secretsKey({dataDir, sealedBefore, clusterKey}: SecretsKeyOptions): Promise<Buffer> {
  const path = secretsKeyFile(dataDir);
  const found = await readKey(path);
  if (found) return found;
  if (clusterKey) return Buffer.from(hkdfSync('sha256', await clusterKey(), '', 'hivemind/secrets', KEY_BYTES));
  if (await sealedBefore()) {
    throw errors['secrets-key-missing'](`${path} is gone, and the secrets in the store were sealed with it. Put it back from a backup; without it, delete all secrets and create them again.`);
  }
  await makeKey(path);
  // Read again: of two that made one at once, the first one's counts.
  const made = await readKey(path);
  if (!made) throw errors['secrets-key-missing'](`${path} was made and is gone again.`);
  return made;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw errors['secrets-key-invalid'](`${path} cannot be read.`, {cause: error});
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES) throw errors['secrets-key-invalid'](`${path} does not hold a key of ${KEY_BYTES} bytes in base64. Put it back from a backup.`);
  await chmod(path, 0o600);
  return key;
}

/** Written whole under another name first: a crash leaves no half a key. */
async function makeKey(path: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if (!(typeof error === 'object' && error !== null && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await unlink(draft);
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
