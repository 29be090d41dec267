/** Names, labels and the keys they are stored under. */
import * as z from 'zod';

/** RFC 1123 label: how every resource is named, so that each can be a host name. */
export const DnsLabel = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends');

/** A dotted DNS name. */
export const DnsName = z.string().max(253).regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/, 'is not a DNS name');

/** A name to be reached by. Underscores are no part of a host name (RFC 952), but Compose has them and resolvers pass them on. */
export const HostAlias = z.string().max(253).regex(/^[a-z0-9_]([-_a-z0-9]{0,61}[a-z0-9_])?(\.[a-z0-9_]([-_a-z0-9]{0,61}[a-z0-9_])?)*$/, 'is not a name to be reached by: use lower-case letters, digits, hyphens, underscores and dots');

const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
export const LabelKey = z.string().max(317).regex(labelKey, 'is not a label key: letters, digits, - _ . with an optional prefix/');
export const Labels = z.record(LabelKey, z.string().max(255));
export type Labels = z.infer<typeof Labels>;
export const Annotations = z.record(z.string().min(1).max(317), z.string().max(65_536));

/** Key of a namespaced record in its collection. */
export function resourceKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** The parts of a key made by {@link resourceKey}. */
export function splitKey(key: string): {readonly namespace: string; readonly name: string} {
  const slash = key.indexOf('/');
  return {namespace: key.slice(0, slash), name: key.slice(slash + 1)};
}

/** Key of one revision of an app; padded so that keys sort by number. */
export function revisionKey(namespace: string, app: string, revision: number): string {
  return `${namespace}/${app}/${String(revision).padStart(8, '0')}`;
}
