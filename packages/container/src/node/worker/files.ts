/** Files that a crash leaves whole. */
import {mkdir, open, rename} from 'node:fs/promises';
import {dirname} from 'node:path';

/** The file is the old one or the new one, whenever the power goes. Mode 0600. */
export async function writeAtomically(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  const temporary = `${path}.new`;
  await using file = await open(temporary, 'w', 0o600);
  await file.writeFile(content);
  await file.sync();
  await rename(temporary, path);
}
