/** Reads who leads from the leased record in `elections`. */
import type {HivemindError} from '@hivemind/contracts';
import * as z from 'zod';
import {storeErrors} from './errors.ts';
import type {Leadership, StoredRecord} from './store.ts';

const ElectionRecord = z.object({holder: z.string()});

export function toLeadership(record: Pick<StoredRecord, 'key' | 'value' | 'created'>): Leadership {
  const {holder} = ElectionRecord.parse(JSON.parse(record.value));
  return {election: record.key, holder, revision: record.created};
}

export const leaseExpired = (id: string): HivemindError => storeErrors['lease-expired'](`Lease ${id} has ended. Ask for a new one.`);
