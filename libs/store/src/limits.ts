/** What a transaction may hold; the same on every driver, so that nothing works on one and fails on the other. */
import {storeErrors} from './errors.ts';
import {ELECTIONS} from './reserved.ts';
import type {Transaction} from './store.ts';

export const MAX_VALUE_BYTES = 1024 * 1024;
export const MAX_TRANSACTION_BYTES = 8 * 1024 * 1024;
export const MAX_WRITES = 4096;
export const MAX_KEY_LENGTH = 512;
/** The longest a timer can wait for. */
export const MAX_TTL_MS = 2 ** 31 - 1;
/** Records of one page. */
export const MAX_PAGE = 1000;

/** What a name and its framing count for. */
const OVERHEAD_BYTES = 128;

const COLLECTION = /^[a-z0-9][a-z0-9-]{0,62}$/;
// Control characters are the drivers' separators, and U+10FFFF their upper bound of a prefix.
const FORBIDDEN_IN_KEY = /[\u0000-\u001f\u{10ffff}]/u;

/** Of the change log (log-codec.ts). */
const SEPARATORS = /[\u001e\u001f]/;

/** Throws `invalid-input`. */
export function checkName(collection: string, key: string): void {
  if (!COLLECTION.test(collection)) throw storeErrors['invalid-input'](`"${collection}" is not a collection's name: lower-case letters, digits and dashes.`);
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) throw storeErrors['invalid-input'](`A key of "${collection}" has ${key.length} characters; 1 to ${MAX_KEY_LENGTH} are allowed.`);
  if (FORBIDDEN_IN_KEY.test(key) || !key.isWellFormed()) throw storeErrors['invalid-input'](`A key of "${collection}" holds control characters or broken Unicode.`);
}

/** Throws `invalid-input` or `too-large`; answers the size in bytes, or an upper bound of it. */
export function checkTransaction(transaction: Transaction): number {
  const {compare = [], writes} = transaction;
  if (writes.length > MAX_WRITES || compare.length > MAX_WRITES) throw storeErrors['too-large'](`A transaction has at most ${MAX_WRITES} writes and comparisons.`);
  for (const {collection, key} of compare) checkName(collection, key);
  const seen = writes.length > 1 ? new Set<string>() : undefined;
  let total = (compare.length + writes.length) * OVERHEAD_BYTES;
  for (const write of writes) {
    const {collection, key} = write;
    checkName(collection, key);
    if (collection === ELECTIONS) throw storeErrors['invalid-input'](`"${ELECTIONS}" is written by campaign() alone.`);
    if (seen) {
      const id = `${collection}\0${key}`;
      if (seen.has(id)) throw storeErrors['invalid-input'](`${collection} "${key}" is written twice in one transaction.`);
      seen.add(id);
    }
    if (write.op === 'put') total += checkValue(collection, key, write.value);
  }
  if (total > MAX_TRANSACTION_BYTES) throw storeErrors['too-large'](`A transaction holds at most ${MAX_TRANSACTION_BYTES} bytes.`);
  return total;
}

/** Throws `invalid-input`. */
export function checkTtl(ttlMs: number): void {
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > MAX_TTL_MS) throw storeErrors['invalid-input'](`A lease lasts 1 to ${MAX_TTL_MS} whole ms, not ${ttlMs}.`);
}

function checkValue(collection: string, key: string, value: string): number {
  if (SEPARATORS.test(value)) throw storeErrors['invalid-input'](`${collection} "${key}" holds control characters that JSON text cannot hold.`);
  // UTF-8 takes at most 3 bytes a UTF-16 unit: most values are cleared without being measured.
  if (value.length * 3 <= MAX_VALUE_BYTES) return value.length;
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_VALUE_BYTES) throw storeErrors['too-large'](`${collection} "${key}" has ${bytes} bytes; a value has at most ${MAX_VALUE_BYTES}.`);
  return bytes;
}
