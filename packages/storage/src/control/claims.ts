/** Volumes come into being when they are first used, on the machine of the container that uses them. */
import {resourceKey, type VolumeRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {commit} from '@hivemind/store';
import {isError} from '@hivemind/contracts';
import {storageErrors} from '../errors.ts';
import {volumes} from './tables.ts';

export interface Claim {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
}

const RACES = 8;

/**
 * Binds each volume to the node it is used on; one that is bound there already is left as it is.
 * @throws `volume-elsewhere` when its data is on another node: data is never replaced by emptiness (law 11)
 */
export async function claimVolumes(context: Pick<ManagerContext, 'store' | 'now' | 'uid'>, claims: readonly Claim[]): Promise<void> {
  const distinct = [...new Map(claims.map((claim) => [resourceKey(claim.namespace, claim.name), claim])).values()];
  for (let race = 1; ; race++) {
    try {
      return await attempt(context, distinct);
    } catch (error) {
      const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
      if (!lost || race === RACES) throw error;
    }
  }
}

async function attempt({store, now, uid}: Pick<ManagerContext, 'store' | 'now' | 'uid'>, claims: readonly Claim[]): Promise<void> {
  const found = await store.getMany(claims.map(({namespace, name}) => ({collection: volumes.name, key: resourceKey(namespace, name)})));
  const at = new Date(now()).toISOString();
  const compare = [];
  const writes = [];
  for (const [index, {namespace, name, node}] of claims.entries()) {
    const key = resourceKey(namespace, name);
    const record = found[index];
    const previous = record && volumes.decode(record);
    if (previous?.value.node === node) continue;
    if (previous?.value.node !== undefined) throw storageErrors['volume-elsewhere'](`The data of volume ${name} is on node ${previous.value.node}, not on ${node}.`);
    const value: VolumeRecord = previous
      ? {...previous.value, node, meta: {...previous.value.meta, updatedAt: at}}
      : {name, namespace, labels: {}, annotations: {}, spec: {driver: 'local'}, node, meta: {uid: uid(), generation: 1, createdAt: at, updatedAt: at}};
    compare.push(previous ? volumes.unchanged(previous) : volumes.absent(key));
    writes.push(volumes.putting(key, value, {previous}));
  }
  if (writes.length > 0) await commit(store, {compare, writes});
}
