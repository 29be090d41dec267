/**
 * A keepsake: something secret that a cluster makes once and keeps for good, in the store, sealed under the cluster key. Of
 * services that make it at the same time, the first one's stands and the others take it.
 *
 * What is made follows from the cluster key and the cluster's id. So a store that was emptied makes the same again, and no
 * machine finds that its cluster has become another one (law 12).
 */
import {hkdfSync} from 'node:crypto';
import {collections, isError} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import * as z from 'zod';
import {seal, unseal} from './cluster-key.ts';
import {trustErrors} from './errors.ts';

export interface KeepsakeOptions {
  readonly store: Store;
  /** See `openClusterKey`. */
  readonly clusterKey: Buffer;
  /** The cluster's id. */
  readonly cluster: string;
  /** ms since the epoch. */
  readonly now: number;
}

/** What everybody may know of it, and what nobody may. Texts by name. */
export interface Keepsake<Open extends string, Sealed extends string> {
  readonly open: Readonly<Record<Open, string>>;
  readonly sealed: Readonly<Record<Sealed, string>>;
}

const records = collection(collections.clusterTrust);

/** Whether this store has anything that was sealed under a cluster key. */
export async function hasTrust(store: Store): Promise<boolean> {
  return (await records.in(store).list()).items.length > 0;
}

/** @throws `cluster-key-mismatch` 503 when it was sealed under another key, or altered: never makes a new one then */
export async function openKeepsake<const Open extends string, const Sealed extends string>(
  {store, clusterKey, cluster, now}: KeepsakeOptions,
  name: string,
  names: {readonly open: readonly Open[]; readonly sealed: readonly Sealed[]},
  /** `seed`: 32 secret bytes of that purpose, always the same ones. */
  make: (seed: (purpose: string) => Buffer) => Promise<Keepsake<Open, Sealed>>,
): Promise<Keepsake<Open, Sealed>> {
  const context = `hivemind/${cluster}/cluster-trust/${name}`;
  const kept = await records.in(store).get(name) ?? await first();
  const plain = unseal(clusterKey, context, kept.value.sealed);
  if (plain === undefined) {
    throw trustErrors['cluster-key-mismatch'](`The cluster key given to this service does not open what cluster ${cluster} keeps (${name}). Every control service needs the same file: copy cluster.key from one that runs, or name it in HIVEMIND_CLUSTER_KEY_FILE.`);
  }
  return {open: texts(names.open).parse(kept.value.open), sealed: texts(names.sealed).parse(JSON.parse(plain))};

  async function first() {
    const {open, sealed} = await make((purpose) => Buffer.from(hkdfSync('sha256', clusterKey, cluster, `hivemind ${name} ${purpose}`, 32)));
    const record = {open: {...open}, sealed: seal(clusterKey, context, JSON.stringify(sealed)), createdAt: new Date(now).toISOString()};
    try {
      return await records.in(store).put(name, record, {expect: 0});
    } catch (error) {
      const theirs = isError(error, 'already-exists') || isError(error, 'version-mismatch') ? await records.in(store).get(name) : undefined;
      if (!theirs) throw error;
      return theirs;
    }
  }
}

function texts<K extends string>(names: readonly K[]): z.ZodType<Record<K, string>> {
  return z.record(z.enum(names), z.string());
}
