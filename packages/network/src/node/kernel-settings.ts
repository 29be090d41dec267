/**
 * Settings of the kernel that rules depend on. By files where this process sees those of its network; else by the tools: /sys may be
 * another namespace's, which may have a bridge of that name too.
 */
import {access, readdir, readFile, writeFile} from 'node:fs/promises';
import * as z from 'zod';
import {run} from './command.ts';

const BRIDGED = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const Links = z.array(z.object({ifname: z.string().optional()}));

/** What crosses the bridge from one of its members to another passes the firewall too. @returns whether the kernel has the means */
export async function showBridge(bridge: string): Promise<boolean> {
  const own = await ownMembers(bridge);
  if (own === undefined || !(await set(`/sys/class/net/${bridge}/bridge/nf_call_iptables`))) await run('ip', ['link', 'set', 'dev', bridge, 'type', 'bridge', 'nf_call_iptables', '1']);
  return exists(BRIDGED);
}

/** A member of the bridge may be sent what came from it. @param known members of which that is known; it takes those that are new */
export async function reflect(bridge: string, known: Set<string>): Promise<void> {
  const members = (await ownMembers(bridge))?.filter((member) => !known.has(member));
  if (members && (await Promise.all(members.map((member) => set(`/sys/class/net/${bridge}/brif/${member}/hairpin_mode`)))).every((done) => done)) return members.forEach((member) => known.add(member));
  const {status, stdout} = await run('ip', ['-json', 'link', 'show', 'master', bridge]);
  if (status !== 0) return;
  const names = Links.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout)).flatMap(({ifname}) => ifname ?? []);
  if (names.length > 0) await run('bridge', ['-force', '-batch', '-'], names.map((name) => `link set dev ${name} hairpin on\n`).join(''));
}

/** What is on the bridge; undefined: there is nothing, or /sys does not say what is on this network's. */
async function ownMembers(bridge: string): Promise<readonly string[] | undefined> {
  const members = await readdir(`/sys/class/net/${bridge}/brif`).catch(() => []);
  // Of this process' network, whatever /sys is. Names of members are of chance.
  const devices = new Set((await readFile('/proc/self/net/dev', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':', 1)[0]!.trim()));
  return members.length > 0 && members.every((member) => devices.has(member)) ? members : undefined;
}

/** To 1. @returns whether there is such a file, and it could be written: within a container it may not */
export async function set(path: string): Promise<boolean> {
  if (!(await exists(path))) return false;
  if ((await readFile(path, 'utf8')).trim() === '1') return true;
  return writeFile(path, '1').then(() => true, () => false);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
