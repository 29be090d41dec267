/** Takes all of the network away from this machine; safe where there is nothing. */
import {otherOwner, removal} from '../core/mend.ts';
import {removeBalance} from './balance.ts';
import {apply, clearFilter, clearTranslation, readKernel} from './machine.ts';
import {removePolicies} from './policies.ts';

/** @param cluster its network alone; absent: whosever it is. @returns whether there was anything. @throws `machine-unable` 503 */
export async function removeNetwork(cluster?: string): Promise<boolean> {
  const kernel = await readKernel();
  if (cluster !== undefined && otherOwner(kernel, cluster) !== undefined) return false;
  const batch = removal(kernel);
  const failed = await apply(batch);
  const rest = [await clearFilter(), await clearTranslation(), await removePolicies(), await removeBalance()];
  if (failed.length > 0) throw new Error(failed.join('; '));
  return batch.ip.length > 0 || rest.includes(true);
}
