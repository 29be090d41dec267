/** The cluster's own authority: made at the first start, kept in the store, opened by every control service. */
import {createAuthority, type Authority} from './authority.ts';
import {openKeepsake, type KeepsakeOptions} from './keepsake.ts';

export type {KeepsakeOptions as ClusterTrustOptions};

/**
 * Whoever holds a credential of the store and the cluster key can issue itself a certificate with it.
 * @throws `cluster-key-mismatch` 503: never a new authority in the place of one that cannot be opened
 */
export async function openClusterAuthority(options: KeepsakeOptions): Promise<Authority> {
  const {open, sealed} = await openKeepsake(options, 'authority', {open: ['certificate'], sealed: ['key']}, async (seed) => {
    const {certificate, key} = await createAuthority({...options, seed: seed('key')});
    return {open: {certificate}, sealed: {key}};
  });
  return {...open, ...sealed};
}
