/** Takes all of the network away from this machine; safe where there is nothing. */
import {removal} from '../core/mend.ts';
import {removeBalance} from './balance.ts';
import {apply, clearFilter, clearTranslation, readKernel} from './machine.ts';
import {removePolicies} from './policies.ts';

/** @returns whether there was anything. @throws `machine-unable` 503 */
export async function removeNetwork(): Promise<boolean> {
  const batch = removal(await readKernel());
  const failed = await apply(batch);
  const rest = [await clearFilter(), await clearTranslation(), await removePolicies(), await removeBalance()];
  if (failed.length > 0) throw new Error(failed.join('; '));
  return batch.ip.length > 0 || rest.includes(true);
}
