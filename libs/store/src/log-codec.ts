/**
 * The change log's compact text: changes joined by RS, fields by US. Neither can stand in a name or in JSON (limits.ts).
 *
 *   put:    n US collection US key US value US created US lease (empty: none)
 *   delete: n US collection US key
 *
 * Both drivers write it (write-engine.ts, redis/scripts.ts). No imports: the writer's thread loads this.
 */
import type {ChangeEvent} from './store.ts';

const RS = '\u001e';
const US = '\u001f';

export const encodePut = (n: number, collection: string, key: string, value: string, created: number, lease: string | undefined): string =>
  `${n}${US}${collection}${US}${key}${US}${value}${US}${created}${US}${lease ?? ''}`;

export const encodeDelete = (n: number, collection: string, key: string): string => `${n}${US}${collection}${US}${key}`;

export const joinLog = (changes: readonly string[]): string => changes.join(RS);

/** Throws an Error when the text is not a log's. */
export function decodeLog(text: string): ChangeEvent[] {
  return text.split(RS).map((change): ChangeEvent => {
    const [n, collection, key, value, created, lease] = change.split(US);
    const version = Number(n);
    if (!Number.isSafeInteger(version) || collection === undefined || key === undefined) throw new Error('The change log is damaged.');
    if (value === undefined) return {type: 'delete', collection, key, version};
    return {type: 'put', record: {collection, key, value, created: Number(created), version, ...(lease ? {lease} : {})}};
  });
}
