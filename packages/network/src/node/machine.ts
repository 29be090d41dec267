/** The network of this machine, read and changed: in one batch a tool, and nothing where nothing is to change. */
import {readFile, writeFile} from 'node:fs/promises';
import {masquerade, mendForwardingRules, NFT_TABLE, removeForwardingRules} from '../core/forwarding.ts';
import {type KernelState, parseKernel, questions, VXLAN, WIREGUARD} from '../core/kernel.ts';
import type {Batch} from '../core/mend.ts';
import {networkErrors} from '../errors.ts';
import {run} from './command.ts';
import {makeWireGuard, readWireGuard, setWireGuard} from './wireguard.ts';

const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/** @param encrypts also what WireGuard's device is set to. @throws `machine-unable` 503 */
export async function readKernel(encrypts = false): Promise<KernelState> {
  const [ip, bridge, wireguard] = await Promise.all([run('ip', ['-json', '-details', '-force', '-batch', '-'], `${questions.join('\n')}\n`), run('bridge', ['-json', 'fdb', 'show', 'dev', VXLAN]), encrypts ? readWireGuard() : undefined]);
  if (ip.missing || bridge.missing) throw networkErrors['machine-unable']('The commands ip and bridge are missing: install iproute2.');
  if (!ip.stdout.startsWith('[')) throw networkErrors['machine-unable'](`ip does not say what there is: ${ip.stderr.trim()}`);
  return {...parseKernel(ip.stdout, bridge.status === 0 ? bridge.stdout : ''), wireguard};
}

/** Goes on after a line that fails: another may not depend on it. @param privateKey of WireGuard, where that is to be set. @returns what failed, in the tools' words */
export async function apply({wireguard, ip, bridge}: Batch, privateKey = ''): Promise<readonly string[]> {
  const failed: string[] = [];
  if (wireguard) {
    const because = (wireguard.isMade ? await makeWireGuard() : undefined) ?? (await setWireGuard(wireguard.settings, privateKey));
    if (because !== undefined) failed.push(because);
  }
  for (const [program, lines] of [['ip', ip], ['bridge', bridge]] as const) {
    // Where there is no such device, the rest is done all the same: no packet goes out as it is meanwhile.
    const possible = failed.length === 0 ? lines : lines.filter((line) => !line.includes(WIREGUARD));
    if (possible.length === 0) continue;
    const {status, stderr} = await run(program, ['-force', '-batch', '-'], `${possible.join('\n')}\n`);
    if (status !== 0) failed.push(`${program}: ${stderr.trim().replaceAll(/\s*\n\s*/g, '; ')}`);
  }
  return failed;
}

/** Whether it had to be changed. */
export async function forwardPackets(): Promise<boolean> {
  if ((await readFile(IP_FORWARD, 'utf8')).trim() === '1') return false;
  await writeFile(IP_FORWARD, '1');
  return true;
}

/**
 * Lets what goes between containers through the filter table. A machine without iptables has nobody who would drop it there.
 * @returns whether something had to be changed. @throws `machine-unable` 503
 */
export async function mendFilter(cidr: string): Promise<boolean> {
  const saved = await run('iptables-save', ['-t', 'filter']);
  if (saved.missing) return false;
  return restore(saved.status === 0 ? mendForwardingRules(saved.stdout, cidr) : unreadable('iptables-save', saved.stderr));
}

export async function clearFilter(): Promise<boolean> {
  const saved = await run('iptables-save', ['-t', 'filter']);
  return saved.status === 0 && restore(removeForwardingRules(saved.stdout));
}

async function restore(lines: readonly string[]): Promise<boolean> {
  if (lines.length === 0) return false;
  const {status, stderr} = await run('iptables-restore', ['--wait', '--noflush'], `${lines.join('\n')}\n`);
  if (status !== 0) throw networkErrors['machine-unable'](`iptables-restore: ${stderr.trim()}`);
  return true;
}

function unreadable(program: string, stderr: string): never {
  throw networkErrors['machine-unable'](`${program}: ${stderr.trim()}`);
}

/**
 * The rules of address translation. What nft lists of them is compared with what it listed after they were set, since it says
 * the same in other words.
 */
export class Translation {
  #script = '';
  #listed = '';

  /** @returns whether something had to be changed. @throws `machine-unable` 503 */
  async mend(subnet: string, cidr: string): Promise<boolean> {
    const script = masquerade(subnet, cidr);
    if (script === this.#script && (await listTable()) === this.#listed) return false;
    const {status, stderr, missing} = await run('nft', ['-f', '-'], script);
    if (missing) throw networkErrors['machine-unable']('The command nft is missing: install nftables.');
    if (status !== 0) throw networkErrors['machine-unable'](`nft: ${stderr.trim()}`);
    this.#script = script;
    this.#listed = await listTable();
    return true;
  }
}

export async function clearTranslation(): Promise<boolean> {
  return (await run('nft', ['delete', 'table', 'ip', NFT_TABLE])).status === 0;
}

/** Without what differs from time to time. */
async function listTable(): Promise<string> {
  const {stdout} = await run('nft', ['-j', 'list', 'table', 'ip', NFT_TABLE]);
  return stdout.replaceAll(/"handle": \d+/g, '');
}
