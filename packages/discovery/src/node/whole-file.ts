/** Files that HAProxy is started with, whole also after a power cut. */
import {open, readFile, rename} from 'node:fs/promises';

/**
 * The file is as it was, or `text`, whenever the power goes. Mode 0600. One that is `text` already is left alone.
 * @param isHurried whole for who reads it, but not after a power cut: for what is made anew from others, and waited for
 */
export async function writeWhole(path: string, text: string, isHurried = false): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(text);
    if (!isHurried) await file.sync();
  }
  await rename(`${path}.new`, path);
}
