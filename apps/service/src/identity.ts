/**
 * Which cluster is this? The shared store says; the first service that finds nothing there makes it. Each data dir remembers
 * (`cluster.json`): a store that was emptied is then the same cluster's, and nothing on the machines is removed until somebody
 * adopted it (law 12).
 */
import {randomUUID} from 'node:crypto';
import {mkdir, open, readFile, rename} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {ClusterIdentityRecord, collections, isError} from '@hivemind/contracts';
import {collection, commit, type Store} from '@hivemind/store';
import {hostErrors} from './errors.ts';

const KEY = 'cluster';
const identities = collection(collections.clusterIdentity);
const adoption = collection(collections.cluster);

export interface SharedIdentityOptions {
  readonly store: Store;
  readonly dataDir: string;
  /** ms since the epoch. */
  readonly now: number;
}

/** @throws `other-cluster` 409 when the data dir is of another cluster than the store; `data-dir-damaged` */
export async function sharedIdentity({store, dataDir, now}: SharedIdentityOptions): Promise<string> {
  const path = join(dataDir, 'cluster.json');
  const remembered = await read(path);
  const {id, createdAt} = (await identities.in(store).get(KEY))?.value ?? (await claim(store, remembered, new Date(now).toISOString()));
  if (remembered !== undefined && remembered.id !== id) {
    throw hostErrors['other-cluster'](`The store is of cluster ${id}, and ${dataDir} is of cluster ${remembered.id}. Name that cluster's store, or another --data-dir.`);
  }
  if (remembered === undefined) await write(path, `${JSON.stringify({id, createdAt})}\n`);
  return id;
}

/** The first one's stands. */
async function claim(store: Store, remembered: ClusterIdentityRecord | undefined, time: string): Promise<ClusterIdentityRecord> {
  const identity = remembered ?? {id: randomUUID(), createdAt: time};
  const held = {held: true, reason: 'The store is empty, but the cluster is older than it.', since: time};
  try {
    await commit(store, {
      compare: [identities.absent(KEY)],
      // Both or none: a store that knows the cluster and nothing of its containers must not remove them.
      writes: [identities.putting(KEY, identity), ...(remembered ? [adoption.putting('adoption', held)] : [])],
    });
    return identity;
  } catch (error) {
    const first = isError(error, 'already-exists') ? await identities.in(store).get(KEY) : undefined;
    if (!first) throw error;
    return first.value;
  }
}

async function read(path: string): Promise<ClusterIdentityRecord | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return ClusterIdentityRecord.parse(JSON.parse(text));
  } catch (cause) {
    throw hostErrors['data-dir-damaged'](`${path} cannot be read. Put it back from a backup, or delete it: the store knows which cluster it is of.`, {cause});
  }
}

/** Whole or not at all. Services that share the data dir write the same. */
async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  const draft = `${path}.${process.pid}.${randomUUID().slice(0, 8)}`;
  {
    await using file = await open(draft, 'w', 0o600);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(draft, path);
}
