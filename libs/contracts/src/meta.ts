/** What every resource has beside its spec. */
import * as z from 'zod';
import {Annotations, DnsLabel, Labels} from './names.ts';

export const Meta = z.object({
  uid: z.string(),
  /** Moved by spec, labels and annotations, never by status; the ETag. */
  version: z.number().int().nonnegative(),
  /** Moved by spec alone. */
  generation: z.number().int().positive(),
  /** RFC 3339. */
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type Meta = z.infer<typeof Meta>;

/** As stored: `version` is the record's own version in the store, joined on read. */
export const StoredMeta = Meta.omit({version: true});
export type StoredMeta = z.infer<typeof StoredMeta>;

export const Condition = z.object({
  type: z.string(),
  status: z.enum(['true', 'false', 'unknown']),
  /** One CamelCase word, stable. */
  reason: z.string(),
  message: z.string(),
  since: z.string(),
});
export type Condition = z.infer<typeof Condition>;

/** Body of POST and PUT: `{name, namespace?, labels?, annotations?, spec}`. What was read (kind, status, meta) is accepted and ignored. */
export function resourceBody<S extends z.ZodType>(kind: string, spec: S) {
  return z.strictObject({
    kind: z.literal(kind).optional(),
    name: DnsLabel,
    namespace: DnsLabel.optional(),
    labels: Labels.default({}),
    annotations: Annotations.default({}),
    spec,
    status: z.unknown().optional(),
    meta: z.unknown().optional(),
  });
}

/** A resource as the API answers it. */
export function resource<K extends string, Spec extends z.ZodType, Status extends z.ZodType>(kind: K, spec: Spec, status: Status) {
  return z.object({
    kind: z.literal(kind),
    name: z.string(),
    namespace: z.string().optional(),
    labels: Labels,
    annotations: Annotations,
    spec,
    status,
    meta: Meta,
  });
}

/** Envelope of a list. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({items: z.array(item), next: z.string().nullable(), revision: z.string()});
}
