/** The lease as a file, so that a sidecar that is started again counts on. Of the machine's present start alone. */
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';

export interface Lease {
  /** The cluster's id, as its containers are labelled. */
  readonly cluster: string;
  /** The engine's address, as DOCKER_HOST, or `containerd://` and the path of containerd's socket. */
  readonly engine: string;
  readonly bootId: string;
  /** By `boottime`: when the last heartbeat that was answered was sent. */
  readonly heardAtMs: number;
  /** The agent's process, as `ownerLives` takes it; absent or empty: it does not say. */
  readonly agent?: string;
}

/** undefined: there is none that can be read. */
export async function readLease(path: string): Promise<Lease | undefined> {
  try {
    return leaseOf(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/**
 * Whole or not at all. Not synced: what a power cut takes is of a start of the machine that is over. Where it cannot be written
 * there is none afterwards: by an outdated one, what is heard would be stopped.
 */
export async function writeLease(path: string, lease: Lease): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  await replace(path, lease).catch(async () => {
    // On a full disk, what is outdated makes room for what is not.
    for (const old of [path, `${path}.new`]) await rm(old, {force: true});
    await replace(path, lease);
  });
}

async function replace(path: string, lease: Lease): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(lease), {mode: 0o600});
  await rename(`${path}.new`, path);
}

function leaseOf(value: unknown): Lease | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const {cluster, engine, bootId, heardAtMs, agent} = value as Record<string, unknown>;
  if (typeof cluster !== 'string' || typeof engine !== 'string' || typeof bootId !== 'string' || typeof heardAtMs !== 'number') return undefined;
  return {cluster, engine, bootId, heardAtMs, ...(typeof agent === 'string' ? {agent} : {})};
}
