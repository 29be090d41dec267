/** A build context as a tar: what `.dockerignore` leaves, in a fixed order, with a hash of all that makes the image. */
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {lstat, readdir, readFile, readlink} from 'node:fs/promises';
import {isAbsolute, join, relative, sep} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import type {ComposeBuild} from '@hivemind/compose';
import {pack} from 'tar-stream';
import {cliErrors} from '../errors.ts';
import {Ignore} from './ignore.ts';

/** Name under which a Dockerfile that is not in the context is sent along. */
const SENT_DOCKERFILE = '.hivemind.Dockerfile';

interface Entry {
  /** Relative, with slashes. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly size: number;
  readonly target?: string;
}

export interface BuildContext {
  /** Hex SHA-256 of contents, modes and options; times do not count. */
  readonly hash: string;
  /** Path of the Dockerfile within what is sent. */
  readonly dockerfile: string;
  /** Can be read once. */
  stream(): Readable;
}

/** @throws `failed` when the context or its Dockerfile is not there */
export async function openContext(build: Omit<ComposeBuild, 'app' | 'image'>): Promise<BuildContext> {
  const {context} = build;
  if (!(await lstat(context).catch(() => undefined))?.isDirectory()) throw cliErrors.failed(`There is no directory ${context} to build from`);
  const inside = relative(context, isAbsolute(build.dockerfile) ? build.dockerfile : join(context, build.dockerfile)).split(sep).join('/');
  const outside = inside.startsWith('../');
  const extra = build.dockerfileInline ?? (outside ? await readDockerfile(join(context, inside)) : undefined);
  if (extra === undefined) await readDockerfile(join(context, inside));
  const dockerfile = extra === undefined ? inside : SENT_DOCKERFILE;
  const entries = await contextEntries(context, inside);
  const hash = createHash('sha256').update(JSON.stringify([dockerfile, extra ?? null, build.args, build.target ?? null, build.labels, build.extraHosts]));
  for (const entry of entries) {
    hash.update(JSON.stringify([entry.name, entry.type, entry.mode, entry.size, entry.target ?? null]));
    if (entry.type === 'file') await pipeline(createReadStream(join(context, entry.name)), hash, {end: false});
  }
  return {hash: hash.digest('hex'), dockerfile, stream: () => tarStream(context, entries, extra)};
}

/** Everything in the context that is not ignored; the Dockerfile always is sent. */
async function contextEntries(context: string, dockerfile: string): Promise<readonly Entry[]> {
  const own = await readFile(join(context, `${dockerfile}.dockerignore`), 'utf8').catch(() => undefined);
  const ignore = new Ignore(own ?? (await readFile(join(context, '.dockerignore'), 'utf8').catch(() => '')));
  const entries: Entry[] = [];
  const walk = async (directory: string): Promise<void> => {
    const names = (await readdir(join(context, directory))).sort();
    for (const child of names) {
      const name = directory === '' ? child : `${directory}/${child}`;
      const ignored = ignore.ignores(name) && name !== dockerfile;
      const stats = await lstat(join(context, name));
      const mode = stats.mode & 0o7777;
      if (stats.isDirectory()) {
        if (!ignored) entries.push({name, type: 'directory', mode, size: 0});
        if (!ignored || ignore.mayKeepBelow(name) || dockerfile.startsWith(`${name}/`)) await walk(name);
      } else if (ignored) continue;
      else if (stats.isSymbolicLink()) entries.push({name, type: 'symlink', mode, size: 0, target: await readlink(join(context, name))});
      else if (stats.isFile()) entries.push({name, type: 'file', mode, size: stats.size});
    }
  };
  await walk('');
  return entries;
}

function tarStream(context: string, entries: readonly Entry[], dockerfile: string | undefined): Readable {
  const tar = pack();
  const write = async (): Promise<void> => {
    if (dockerfile !== undefined) tar.entry({name: SENT_DOCKERFILE, mode: 0o644, mtime: new Date(0)}, dockerfile);
    for (const {name, type, mode, size, target} of entries) {
      const header = {name, type, mode, mtime: new Date(0), ...(target === undefined ? {} : {linkname: target})};
      if (type === 'file') await pipeline(createReadStream(join(context, name)), tar.entry({...header, size}));
      else tar.entry(header);
    }
    tar.finalize();
  };
  write().catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(tar);
}

async function readDockerfile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw cliErrors.failed(`There is no Dockerfile ${path}`, {cause: error});
  }
}
