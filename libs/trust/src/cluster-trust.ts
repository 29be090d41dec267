/** All that a cluster is trusted by, opened at once. */
import type {Authority} from './authority.ts';
import {openBusTrust, type BusTrust} from './bus-trust.ts';
import {openClusterAuthority} from './cluster-authority.ts';
import {openKeepsake, type KeepsakeOptions} from './keepsake.ts';

export interface ClusterTrust {
  readonly authority: Authority;
  readonly bus: BusTrust;
  /** 32 bytes, base64: the members of the ring know each other by it. */
  readonly gossipKey: string;
}

/** What is not there yet is made. @throws `cluster-key-mismatch` 503 */
export async function openClusterTrust(options: KeepsakeOptions): Promise<ClusterTrust> {
  const [authority, bus, gossip] = await Promise.all([
    openClusterAuthority(options),
    openBusTrust(options),
    openKeepsake(options, 'gossip', {open: [], sealed: ['key']}, async (seed) => ({open: {}, sealed: {key: seed('key').toString('base64')}})),
  ]);
  return {authority, bus, gossipKey: gossip.sealed.key};
}
