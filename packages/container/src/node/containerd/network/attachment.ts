/** A container's place in a network, as it is kept with the container: it has the same address for life. */
import * as z from 'zod';

export const Attachment = z.object({
  /** The network's name. */
  network: z.string(),
  /** The bridge's interface. */
  bridge: z.string(),
  /** It is the driver's; else the cluster network's, and only joined. */
  own: z.boolean(),
  subnet: z.string(),
  /** The bridge's address. */
  gateway: z.string(),
  /** Bytes of a packet. */
  mtu: z.number(),
  address: z.string(),
  /** By which others on the network find it, where nobody else answers names. */
  aliases: z.array(z.string()),
});
export type Attachment = z.infer<typeof Attachment>;

export const PublishedPort = z.object({
  container: z.number(),
  protocol: z.enum(['tcp', 'udp']),
  /** Chosen when it was made, where any would do. */
  host: z.number(),
  address: z.string().optional(),
});
export type PublishedPort = z.infer<typeof PublishedPort>;
