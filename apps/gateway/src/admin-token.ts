/** The token that the first gateway of a cluster makes, for whoever may read the data dir. */
import {randomBytes} from 'node:crypto';
import {chmod, open, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {systemErrorCode} from './errors.ts';

/** Recognisable to those who scan repositories for secrets. */
const PREFIX = 'hm_';

export const adminTokenFile = (dataDir: string): string => join(dataDir, 'admin.token');

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
