/**
 * Which cluster is this? `<data-dir>/cluster.json` says. Where there is none, the engine may still run containers that
 * were made for this very directory before it was deleted: then it is their cluster again, and nothing of theirs is
 * removed until somebody adopted them (law 12).
 */
import {randomUUID} from 'node:crypto';
import {open, readFile, rename} from 'node:fs/promises';
import {join} from 'node:path';
import {collections, defineErrors} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import type {Logger} from 'pino';
import * as z from 'zod';

export const identityErrors = defineErrors({
  'data-dir-damaged': {status: 500, title: 'The data dir cannot be read'},
});

const Identity = z.object({id: z.string().min(8), createdAt: z.string()});
const adoption = collection(collections.cluster);

export interface IdentityOptions {
  readonly dataDir: string;
  /** Open, so that no other process decides the same at the same time. */
  readonly store: Store;
  /** Ids of clusters whose containers the engine has for this data dir, the likeliest first. */
  readonly earlier: () => Promise<readonly string[]>;
  /** ms since the epoch. */
  readonly now: number;
  readonly logger: Logger;
}

/**
 * Reads the cluster's id, or makes it. When the engine cannot be asked for an earlier life, the cluster is new and those
 * containers are left to themselves.
 * @throws `data-dir-damaged`
 */
export async function clusterIdentity({dataDir, store, earlier, now, logger}: IdentityOptions): Promise<string> {
  const path = join(dataDir, 'cluster.json');
  const kept = await read(path);
  if (kept !== undefined) return kept;
  const found = await earlier().catch((err: unknown): readonly string[] => {
    logger.warn({err}, 'the engine could not be asked for containers of an earlier life of this data dir');
    return [];
  });
  const [id = randomUUID()] = found;
  const time = new Date(now).toISOString();
  // The hold before the id: a crash in between finds the containers again, and holds again.
  if (found.length > 0) await adoption.in(store).put('adoption', {held: true, reason: 'The data dir is new, but the engine runs containers that were made for it.', since: time});
  await write(path, `${JSON.stringify({id, createdAt: time})}\n`);
  return id;
}

async function read(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return Identity.parse(JSON.parse(text)).id;
  } catch (cause) {
    throw identityErrors['data-dir-damaged'](`${path} cannot be read. Put it back from a backup, or delete it: the containers of this data dir are then found in the engine.`, {cause});
  }
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
