/** Leases of what comes in: containerd's garbage collection takes nothing of it meanwhile. They name their process, and lapse by themselves. */
import {randomUUID} from 'node:crypto';
import type {ContainerdClient} from '../api/client.ts';
import {ownerLives, ownMark} from '../owner.ts';

const PREFIX = 'hivemind-pull-';
const LEASE_MS = 24 * 3600_000;

/** @param now ms since the epoch */
export async function beginLease(client: ContainerdClient, now: number): Promise<string> {
  const id = `${PREFIX}${await ownMark()}-${randomUUID()}`;
  await client.call('createLease', {id, labels: {'containerd.io/gc.expire': new Date(now + LEASE_MS).toISOString()}});
  return id;
}

/** Those of processes that were killed amid it: to be called once what they had begun was gone on with. */
export async function endLeftLeases(client: ContainerdClient): Promise<void> {
  const {leases} = await client.call('listLeases', {});
  for (const {id} of leases) {
    const mark = new RegExp(`^${PREFIX}(\\d+-\\d+)-`).exec(id)?.[1];
    if (mark !== undefined && !(await ownerLives(mark))) await client.call('deleteLease', {id});
  }
}
