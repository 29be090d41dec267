/** What the security manager keeps and answers. Values of secrets are never among it. */
import {Secret, SecretBody, SecretRecord, SecretSpec} from '@hivemind/contracts';
import * as z from 'zod';

export {Secret, SecretBody, SecretRecord, SecretSpec};
export type SecretResource = z.infer<typeof Secret>;

/** JSON merge patch of a secret: a key given as null goes, the others stay. */
export const SecretPatch = z.strictObject({
  kind: z.literal('Secret').optional(),
  name: z.string().optional(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string().nullable()).nullable().optional(),
  annotations: z.record(z.string(), z.string().nullable()).nullable().optional(),
  spec: z.strictObject({data: z.record(z.string(), z.string().nullable()).default({}), encoding: z.enum(['text', 'base64']).default('text')}).optional(),
});
export type SecretPatch = z.infer<typeof SecretPatch>;
