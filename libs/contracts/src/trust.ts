/** What machines and services are trusted by. Private parts stand sealed under the cluster key, which the store never holds. */
import * as z from 'zod';

/**
 * Collection `cluster-trust`, key: what it is (`authority`, `bus`, `gossip`). Made once, by whichever control service needs it
 * first. `open`: what everybody may know; `sealed`: AES-256-GCM of a JSON document, base64. Owner: node.
 */
export const TrustRecord = z.object({open: z.record(z.string(), z.string()), sealed: z.string(), createdAt: z.string()});
export type TrustRecord = z.infer<typeof TrustRecord>;
