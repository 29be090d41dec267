/** What the device to other machines has carried. */
import type {OverlayStatus} from '@hivemind/contracts';
import * as z from 'zod';
import {run} from './command.ts';

const Side = z.object({bytes: z.number(), packets: z.number(), errors: z.number(), dropped: z.number()});
const Answer = z.array(z.object({stats64: z.object({rx: Side, tx: Side})})).min(1);

/** Null where there is none. */
export async function deviceCounters(device: string): Promise<OverlayStatus['device']> {
  const {status, stdout} = await run('ip', ['-json', '-statistics', 'link', 'show', 'dev', device]);
  const parsed = status === 0 ? Answer.safeParse(JSON.parse(stdout)) : undefined;
  const stats = parsed?.success === true ? parsed.data[0]?.stats64 : undefined;
  if (stats === undefined) return null;
  const {rx, tx} = stats;
  return {receivedBytes: rx.bytes, receivedPackets: rx.packets, sentBytes: tx.bytes, sentPackets: tx.packets, dropped: rx.dropped + tx.dropped, errors: rx.errors + tx.errors};
}
