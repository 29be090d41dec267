/**
 * Reads the change log's compact text (`LogEntry[]` of writer-protocol.ts, written by write-engine.ts). Apart from the
 * writing, so that the worker loads no schema library: that is a third of the time to open a store.
 */
import {z} from 'zod';
import type {ChangeEvent} from './store.ts';

const Put = z.tuple([z.number(), z.string(), z.string(), z.string(), z.number(), z.string().optional()]);
const Delete = z.tuple([z.number(), z.string(), z.string()]);
const Entries = z.array(z.union([Delete, Put]));

export function decodeLog(text: string): ChangeEvent[] {
  return Entries.parse(JSON.parse(text)).map((entry): ChangeEvent => {
    const [version, collection, key] = entry;
    if (entry.length === 3) return {type: 'delete', collection, key, version};
    const [, , , value, created, lease] = entry;
    return {type: 'put', record: {collection, key, value, created, version, ...(lease === undefined ? {} : {lease})}};
  });
}
