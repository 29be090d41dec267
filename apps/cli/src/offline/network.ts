/** The network of containers on this machine, where no agent looks after it: what a cluster leaves behind, and how it goes. */
import {networkOwner, removeNetwork} from '@hivemind/network/node';
import type {Session} from '../session.ts';

/** Takes it away where it is one of these clusters'. */
export async function removeNetworkOf(clusters: readonly string[], {output}: Pick<Session, 'output'>): Promise<void> {
  const owner = await networkOwner();
  if (owner === undefined || !clusters.includes(owner)) return;
  if (process.getuid?.() !== 0) return output.note('its bridge, routes and rules are still on this machine: sudo hivemind network down removes them');
  await removeNetwork(owner);
  output.note('removed its network from this machine');
}

/** Says that it stays while a server runs. */
export async function tellOfNetwork(cluster: string, {output}: Pick<Session, 'output'>): Promise<void> {
  if ((await networkOwner()) === cluster) output.note('its network stays on this machine while Hivemind runs here; it goes when a lone machine stops, or with hivemind network down');
}
