/** Who this cluster is. Made once a data dir; taken up again from the engine's labels when the data dir was lost (law 12). */
import {randomUUID} from 'node:crypto';
import {mkdir, open, readFile, rename} from 'node:fs/promises';
import {join} from 'node:path';
import type {Logger} from 'pino';
import {z} from 'zod';

const Identity = z.object({id: z.string().min(8), createdAt: z.string()});

export interface ClusterIdentity {
  readonly id: string;
  /** The data dir is new, but the engine runs containers that were made for it. */
  readonly earlierLife: boolean;
}

/**
 * Reads `<dataDir>/cluster.json`, or makes it. `earlier` answers the clusters whose containers the engine has for this
 * data dir; when the engine cannot be asked, the cluster is new and those containers are left to themselves.
 */
export async function clusterIdentity(dataDir: string, earlier: () => Promise<readonly string[]>, logger: Logger): Promise<ClusterIdentity> {
  await mkdir(dataDir, {recursive: true, mode: 0o700});
  const path = join(dataDir, 'cluster.json');
  const kept = await read(path);
  if (kept !== undefined) return {id: kept, earlierLife: false};
  const found = await earlier().catch((err: unknown): readonly string[] => {
    logger.warn({err}, 'the engine could not be asked for containers of an earlier life of this data dir');
    return [];
  });
  const [id = randomUUID()] = found;
  await write(path, JSON.stringify({id, createdAt: new Date().toISOString()}));
  return {id, earlierLife: found.length > 0};
}

async function read(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : Identity.parse(JSON.parse(text)).id;
}

/** Whole or not at all: a cluster whose id is half written would not know its own containers. */
async function write(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  {
    await using file = await open(draft, 'w', 0o600);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(draft, path);
}
