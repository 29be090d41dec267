/** Which services run, and where each of them answers. */
import * as z from 'zod';

/**
 * Collection `service-instances`, key: `<service>/<instance>`, bound to a lease: gone when its process was not heard for the
 * lease's length. Each record is written by the very process it tells of.
 */
export const ServiceInstanceRecord = z.object({
  /** A manager, or `gateway`. */
  service: z.string(),
  /** Unique for each start of a process. */
  instance: z.string(),
  /** `http://` between loopback addresses, else `https://`. */
  url: z.string(),
  version: z.string(),
  /** RFC 3339. */
  startedAt: z.string(),
  /** Of a gateway: the Ed25519 key (SPKI, base64) that its word on who is calling is signed with. */
  signingKey: z.string().optional(),
});
export type ServiceInstanceRecord = z.infer<typeof ServiceInstanceRecord>;

/**
 * Collection `cluster-identity`, key: `cluster`. Which cluster the store is of; made by the first service that finds none, and
 * never changed. Owner: whoever hosts managers.
 */
export const ClusterIdentityRecord = z.object({id: z.string().min(8), createdAt: z.string()});
export type ClusterIdentityRecord = z.infer<typeof ClusterIdentityRecord>;

/** Collection `gateway-tokens`, key: `admin`. What the admin token hashes to (SHA-256, base64url). Owner: gateway. */
export const GatewayTokenRecord = z.object({hash: z.string(), createdAt: z.string()});
export type GatewayTokenRecord = z.infer<typeof GatewayTokenRecord>;
