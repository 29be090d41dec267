/** Secrets in the store: the one place where a value is sealed or opened. */
import {randomBytes} from 'node:crypto';
import {collections, isError, resourceKey, type SecretRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {collection, type Stored} from '@hivemind/store';
import * as z from 'zod';
import {NONCE_BYTES, openAtRest, sealAtRest} from '../core/sealing.ts';
import {isSame, type SecretData} from '../core/secret-data.ts';
import {errors} from '../errors.ts';
import {secretsKey} from './secrets-key.ts';

export const secrets = collection(collections.secrets);
const Data = z.record(z.string(), z.string());

/** A secret as it is to be, in the clear. */
export interface OpenSecret extends Pick<SecretRecord, 'namespace' | 'name' | 'labels' | 'annotations'> {
  readonly data: SecretData;
}

export class Vault {
  readonly #context: Pick<ManagerContext, 'store' | 'dataDir' | 'clusterKey' | 'now' | 'uid'>;
  #key: Promise<Buffer> | undefined;

  constructor(context: Pick<ManagerContext, 'store' | 'dataDir' | 'clusterKey' | 'now' | 'uid'>) {
    this.#context = context;
  }

  get(namespace: string, name: string): Promise<Stored<SecretRecord> | undefined> {
    return secrets.in(this.#context.store).get(resourceKey(namespace, name));
  }

  /** @throws `secret-unreadable`, `secrets-key-missing`, `secrets-key-invalid` */
  async open({namespace, name, sealed}: SecretRecord): Promise<SecretData> {
    const text = openAtRest(await this.#readKey(), place(namespace, name), sealed);
    if (text === undefined) throw errors['secret-unreadable'](`Secret ${name} in namespace ${namespace} was sealed with another key, or was damaged. Put back the secrets.key of that time, or delete and create the secret again.`);
    return Data.parse(JSON.parse(text));
  }

  /** Writes over exactly `before`; nothing when it would be the same. @throws `already-exists`, `version-mismatch` */
  async put({data, ...rest}: OpenSecret, before: Stored<SecretRecord> | undefined): Promise<Stored<SecretRecord>> {
    const {store, now, uid} = this.#context;
    const {namespace, name} = rest;
    const unchanged = before !== undefined && isSame(await this.#openOrNothing(before.value), data);
    if (unchanged && isSame(before.value.labels, rest.labels) && isSame(before.value.annotations, rest.annotations)) return before;
    const time = new Date(now()).toISOString();
    const meta = before ? {...before.value.meta, generation: before.value.meta.generation + (unchanged ? 0 : 1), updatedAt: time} : {uid: uid(), generation: 1, createdAt: time, updatedAt: time};
    const sealed = sealAtRest(await this.#readKey(), randomBytes(NONCE_BYTES), place(namespace, name), JSON.stringify(data));
    return secrets.in(store).put(resourceKey(namespace, name), {...rest, keys: Object.keys(data).sort(), sealed, meta}, {expect: before ?? 0});
  }

  /** What cannot be opened any more is replaced like anything else. */
  async #openOrNothing(record: SecretRecord): Promise<SecretData> {
    try {
      return await this.open(record);
    } catch (error) {
      if (isError(error, 'secret-unreadable')) return {};
      throw error;
    }
  }

  #readKey(): Promise<Buffer> {
    const {dataDir, store, clusterKey} = this.#context;
    const sealedBefore = async (): Promise<boolean> => (await store.list(secrets.name, {limit: 1})).records.length > 0;
    this.#key ??= secretsKey({dataDir, sealedBefore, clusterKey}).catch((error: unknown) => {
      // Whoever puts the key back need not restart anything.
      this.#key = undefined;
      throw error;
    });
    return this.#key;
  }
}

const place = (namespace: string, name: string): string => `secrets/${resourceKey(namespace, name)}`;
