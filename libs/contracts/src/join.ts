/** How a machine becomes part of a cluster, and stays. */
import * as z from 'zod';
import {DnsLabel, Labels} from './names.ts';
import {Duration} from './quantity.ts';

/** Collection `join-tokens`, key: id. `secretHash`: SHA-256, base64url; the secret itself is never stored. Owner: node. */
export const JoinTokenRecord = z.object({
  id: z.string(),
  secretHash: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  /** How many machines may join with it, and which have. */
  uses: z.number().int().positive(),
  usedBy: z.array(z.string()),
  /** Given to the machines that join with it. */
  labels: Labels,
});
export type JoinTokenRecord = z.infer<typeof JoinTokenRecord>;
export const JoinToken = JoinTokenRecord.omit({secretHash: true});
export type JoinToken = z.infer<typeof JoinToken>;

const GivenLabels = Labels.refine((labels) => !Object.keys(labels).some((key) => key.startsWith('hivemind.io/')), 'may not begin with hivemind.io/: those are facts of the machine');
export const NewJoinToken = z.strictObject({
  /** Default 1h. */
  ttl: Duration.optional(),
  uses: z.number().int().min(1).max(10_000).default(1),
  labels: GivenLabels.default({}),
});
/** The only time that the token is shown. */
export const CreatedJoinToken = z.object({id: z.string(), token: z.string(), expiresAt: z.string()});

/**
 * Collection `node-identities`, key: the node's name. Machines that joined, with the public keys that they proved to hold;
 * a node of the control plane's own process has none. Owner: node.
 */
export const NodeIdentityRecord = z.object({
  name: z.string(),
  /** Ed25519, in NATS's notation: its user on the bus. */
  nkey: z.string(),
  /** X25519, SPKI in base64: what is for this machine only is sealed to it. */
  sealKey: z.string(),
  labels: Labels,
  joinedAt: z.string(),
  /** Id of the token it joined with. */
  token: z.string(),
});
export type NodeIdentityRecord = z.infer<typeof NodeIdentityRecord>;

/**
 * Collection `bus-revocations`, key: `account`. By key: which node had it, and until when (s since the epoch) what was issued
 * for it is void. `issuedAt` only grows: servers of the bus keep the claims that were issued last. Owner: node.
 */
export const BusRevocationsRecord = z.object({issuedAt: z.number().int(), revoked: z.record(z.string(), z.object({node: z.string(), until: z.number().int()}))});
export type BusRevocationsRecord = z.infer<typeof BusRevocationsRecord>;

export const JoinRequest = z.strictObject({
  token: z.string().min(1).max(1024),
  name: DnsLabel,
  nkey: z.string().max(64),
  sealKey: z.string().max(256),
  /** The cluster that the machine was in before, if it remembers one. */
  cluster: z.string().max(64).optional(),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

const Access = z.object({
  /** PEM of the cluster's authority. */
  ca: z.string(),
  /** `tls://host:port`, or `nats://host:port` on loopback. */
  busUrls: z.array(z.string()).min(1),
  busJwt: z.string(),
  /** ms that `busJwt` is valid from now: clocks may differ. */
  busValidMs: z.number().positive(),
});
export const JoinReply = Access.extend({
  cluster: z.string(),
  name: z.string(),
  labels: Labels,
  /** `host:port` of members of the ring. */
  gossipSeeds: z.array(z.string()),
  /** 32 bytes, base64. */
  gossipKey: z.string(),
});
export type JoinReply = z.infer<typeof JoinReply>;

/**
 * For a machine whose credentials ran out while it was away. `signature`: by its nkey, base64url, over `credentialsChallenge`.
 */
export const CredentialsRequest = z.strictObject({
  time: z.iso.datetime(),
  signature: z.string().max(128),
  /** What it has: a store that was emptied knows the machine again by it. */
  jwt: z.string().max(16_384).optional(),
  sealKey: z.string().max(256).optional(),
});
export type CredentialsRequest = z.infer<typeof CredentialsRequest>;
export const CredentialsReply = Access;
export type CredentialsReply = z.infer<typeof CredentialsReply>;

/** What a machine signs to show that it is that node of that cluster, at `time` (RFC 3339). */
export function credentialsChallenge(cluster: string, node: string, time: string): string {
  return `hivemind credentials\n${cluster}\n${node}\n${time}`;
}

/** Answer of `GET /nodes/authority`: public, so that a machine can hold it against the hash in its token. */
export const AuthorityReply = z.object({cluster: z.string(), ca: z.string()});
