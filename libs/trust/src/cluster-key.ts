/**
 * The cluster key: 32 bytes that every control service of a cluster is given, in a file of mode 0600. The store holds the
 * cluster's private keys sealed under it, so that neither a copy of the store nor the file alone is enough to be the cluster.
 */
import {createCipheriv, createDecipheriv, randomBytes} from 'node:crypto';
import {chmod, link, mkdir, open, readFile, unlink} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {trustErrors} from './errors.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** `HIVEMIND_CLUSTER_KEY_FILE`, else `cluster.key` in the data dir. */
export function clusterKeyFile(dataDir: string, env: Readonly<Record<string, string | undefined>>): string {
  return env.HIVEMIND_CLUSTER_KEY_FILE || join(dataDir, 'cluster.key');
}

/**
 * Reads the cluster key; makes it when there is none and `sealedBefore` answers that nothing was sealed under a lost one. Of
 * several that start at once on one directory, all get the same.
 * @throws `cluster-key-missing`, `cluster-key-invalid` 503
 */
export async function openClusterKey(path: string, sealedBefore: () => Promise<boolean>): Promise<Buffer> {
  const found = await readKey(path);
  if (found) return found;
  if (await sealedBefore()) {
    throw trustErrors['cluster-key-missing'](`There is no ${path}, and this cluster has one. Copy cluster.key from a machine that runs a control service of it, or name the file in HIVEMIND_CLUSTER_KEY_FILE.`);
  }
  await makeKey(path);
  const made = await readKey(path);
  if (!made) throw trustErrors['cluster-key-missing'](`${path} was made and is gone again.`);
  return made;
}

/** AES-256-GCM. `context` must be the same when it is opened: what was sealed for one place is refused in another. Base64. */
export function seal(key: Buffer, context: string, plain: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** What `seal` was given; undefined under another key or context, or when it was altered. */
export function unseal(key: Buffer, context: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {authTagLength: TAG_BYTES})
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  const plain = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

async function readKey(path: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw trustErrors['cluster-key-invalid'](`${path} cannot be read.`, {cause: error});
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES) throw trustErrors['cluster-key-invalid'](`${path} does not hold a key of ${KEY_BYTES} bytes in base64. Put it back from a backup, or copy it from another control service.`);
  return key;
}

/** Written whole under another name first: nobody ever reads half a key. */
async function makeKey(path: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  {
    await using file = await open(draft, 'wx', 0o600);
    await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
    await file.sync();
  }
  try {
    await link(draft, path);
    await chmod(path, 0o600);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(draft);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
