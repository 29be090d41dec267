/** Settings of the kernel that rules depend on. */
import {access, readFile, writeFile} from 'node:fs/promises';

const BRIDGED = '/proc/sys/net/bridge/bridge-nf-call-iptables';

/** What crosses the bridge from one of its members to another passes the firewall too. @returns whether the kernel has the means */
export async function showBridge(bridge: string): Promise<boolean> {
  await set(`/sys/class/net/${bridge}/bridge/nf_call_iptables`);
  return access(BRIDGED).then(() => true, () => false);
}

/** To 1; nothing where there is no such device, or not any more. */
export async function set(path: string): Promise<void> {
  if (!(await access(path).then(() => true, () => false))) return;
  if ((await readFile(path, 'utf8')).trim() !== '1') await writeFile(path, '1');
}
