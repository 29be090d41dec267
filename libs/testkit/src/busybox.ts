import {readFileSync} from 'node:fs';
import type Docker from 'dockerode';
import {pack, type Pack} from 'tar-stream';
import {busyboxApplets} from './docker.ts';

export interface BusyboxImage {
  /** Name and tag to load it as. */
  name: string;
  /** Further files by absolute path: their text, and their mode where 0644 is not wanted. */
  files?: Record<string, {text: string; mode?: number}>;
  /** `Dockerfile` instructions: CMD, EXPOSE, ENV, ... */
  changes?: string[];
}

/** What tests run in containers: a shell, httpd, nc, sleep and the other applets of busybox. */
export const busyboxImageName = 'hivemind-test/busybox:1';

/** Makes sure that `hivemind-test/busybox:1` exists on the engine, and answers its name. */
export async function busyboxImage(engine: Docker): Promise<string> {
  return await assembleBusyboxImage(engine, {name: busyboxImageName, changes: ['CMD ["sh"]']});
}

/**
 * Assembles an image from the machine's static busybox, for where nothing can be pulled. An image of
 * that name is left as it is.
 */
export async function assembleBusyboxImage(engine: Docker, {name, files = {}, changes = []}: BusyboxImage): Promise<string> {
  if (await imageExists(engine, name)) return name;
  const tar = pack();
  fill(tar, files);
  const [, repository, tag] = /^(.*):([^:/]+)$/.exec(name) ?? [];
  if (!repository || !tag) throw new Error(`an image name with a tag is wanted, not ${name}`);
  // dockerode types no options for an import; they are its query string.
  const options = {repo: repository, tag, changes: ['ENV PATH=/bin', ...changes]};
  const progress = await engine.importImage(tar as unknown as string, options);
  await new Promise<void>((resolve, reject) => {
    engine.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
  return name;
}

async function imageExists(engine: Docker, name: string): Promise<boolean> {
  try {
    await engine.getImage(name).inspect();
    return true;
  } catch (error) {
    if ((error as {statusCode?: number}).statusCode === 404) return false;
    throw error;
  }
}

function fill(tar: Pack, files: NonNullable<BusyboxImage['files']>): void {
  for (const dir of ['bin', 'etc', 'proc', 'sys', 'dev', 'root', 'var', 'var/run']) tar.entry({name: dir, type: 'directory', mode: 0o755});
  tar.entry({name: 'tmp', type: 'directory', mode: 0o1777});
  tar.entry({name: 'bin/busybox', mode: 0o755}, readFileSync('/bin/busybox'));
  for (const applet of busyboxApplets()) tar.entry({name: `bin/${applet}`, type: 'symlink', linkname: 'busybox'});
  tar.entry({name: 'etc/passwd'}, 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  tar.entry({name: 'etc/group'}, 'root:x:0:\nnogroup:x:65534:\n');
  for (const [path, {text, mode = 0o644}] of Object.entries(files)) tar.entry({name: path.replace(/^\/+/, ''), mode}, text);
  tar.finalize();
}
