/** Gossip keys as a file: base64, one a line, the first one sends. Blank lines and lines that begin with # are passed over. */
import {readFile, stat} from 'node:fs/promises';
import {sidecarErrors} from './errors.ts';

const sizes = new Set([16, 24, 32]);

/** @throws `key-file-invalid` 422 that names the line, and never shows what is on it */
export function parseKeyFile(text: string): readonly Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const word = line.trim();
    if (word === '' || word.startsWith('#')) continue;
    const key = decodeBase64(word);
    if (key === undefined) throw sidecarErrors['key-file-invalid'](`line ${index + 1} is not base64: write one key a line, as \`head -c 32 /dev/urandom | base64\` makes it`);
    if (!sizes.has(key.length)) throw sidecarErrors['key-file-invalid'](`line ${index + 1} is a key of ${key.length} bytes: it takes 16, 24 or 32`);
    keys.push(key);
  }
  if (keys.length === 0) throw sidecarErrors['key-file-invalid']('it holds no key: write one key a line, as `head -c 32 /dev/urandom | base64` makes it');
  return keys;
}

/**
 * The keys of a file, and its permissions (as in 0o600).
 *
 * @throws `key-file-invalid` 422 that names the file
 */
export async function readKeyFile(path: string): Promise<{readonly keys: readonly Uint8Array[]; readonly mode: number}> {
  try {
    const [text, {mode}] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return {keys: parseKeyFile(text), mode: mode & 0o777};
  } catch (cause) {
    throw sidecarErrors['key-file-invalid'](`${path}: ${(cause as Error).message}`, {cause});
  }
}

export function formatKeyFile(keys: readonly Uint8Array[]): string {
  return keys.map((key) => `${Buffer.from(key).toString('base64')}\n`).join('');
}

/** Node passes over what is no base64; a key with a typing error would be another key. */
function decodeBase64(word: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(word)) return undefined;
  const bytes = Buffer.from(word, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === word.replace(/=+$/, '') ? Uint8Array.from(bytes) : undefined;
}
