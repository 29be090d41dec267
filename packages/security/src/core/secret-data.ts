/** The values of one secret: key → bytes as base64. Pure. */
import type {FieldError} from '@hivemind/contracts';

export type SecretData = Readonly<Record<string, string>>;
export type Encoding = 'text' | 'base64';

/** Bytes of one secret: sealed twice and in base64 it still fits a message of the bus (512 KiB). */
export const MAX_SECRET_BYTES = 256 * 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What is wrong with values as written; none of them is quoted. */
export function dataErrors(data: Readonly<Record<string, string | null>>, encoding: Encoding): readonly FieldError[] {
  if (encoding === 'text') return [];
  return Object.entries(data).flatMap(([key, value]) => (value === null || BASE64.test(withoutSpace(value)) ? [] : [{path: `spec.data.${key}`, message: 'is not base64, as encoding says'}]));
}

export function sizeErrors(data: SecretData): readonly FieldError[] {
  const bytes = Object.entries(data).reduce((sum, [key, value]) => sum + key.length + Buffer.byteLength(value, 'base64'), 0);
  return bytes <= MAX_SECRET_BYTES ? [] : [{path: 'spec.data', message: `holds ${bytes} bytes; a secret has at most ${MAX_SECRET_BYTES}: split it, or put large files on a volume`}];
}

/** Values as written, as base64. */
export function encode(data: Readonly<Record<string, string>>, encoding: Encoding): SecretData {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, encodeValue(value, encoding)]));
}

/** `before` with the values of a merge patch; null removes a key. */
export function merge(before: SecretData, patch: Readonly<Record<string, string | null>>, encoding: Encoding): SecretData {
  const after = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) after.delete(key);
    else after.set(key, encodeValue(value, encoding));
  }
  return Object.fromEntries(after);
}

export function isSame(a: SecretData, b: SecretData): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

const withoutSpace = (text: string): string => text.replace(/\s/g, '');

function encodeValue(value: string, encoding: Encoding): string {
  return encoding === 'base64' ? withoutSpace(value) : Buffer.from(value, 'utf8').toString('base64');
}
