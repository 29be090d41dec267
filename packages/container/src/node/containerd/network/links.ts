/** Bridges, and the pairs of interfaces that lead from one into a container. */
import {readFile, writeFile} from 'node:fs/promises';
import * as z from 'zod';
import type {Attachment} from './attachment.ts';
import {ip, ipLines, run} from './command.ts';
import {hardwareAddress} from './ranges.ts';
import type {Shell} from './shell.ts';

const Links = z.array(z.object({ifname: z.string().default(''), master: z.string().optional(), ifalias: z.string().optional()}));
const Addressed = z.array(z.object({addr_info: z.array(z.object({local: z.string(), prefixlen: z.number()})).optional()}));
const Routes = z.array(z.object({dst: z.string().default('')}));

/** Makes a bridge of the driver's own, or sees that it is as it should be. @param mark kept with it, to know it again */
export async function ensureBridge({bridge, subnet, gateway, mtu}: Attachment, mark: string): Promise<void> {
  const address = `${gateway}/${subnet.split('/')[1] ?? ''}`;
  const there = await addressesOf(bridge);
  await ip([
    ...(there === undefined ? [`link add name ${bridge} address ${hardwareAddress(gateway)} type bridge`] : []),
    `link set dev ${bridge} alias ${mark}`,
    // Of another range, from before: nobody is on it any more.
    ...(there === undefined || there.includes(address) ? [] : [`addr flush dev ${bridge} scope global`]),
    `addr replace ${address} broadcast + dev ${bridge}`,
    `link set dev ${bridge} mtu ${mtu} up`,
  ]);
  await setKernel('net/ipv4/ip_forward', '1');
}

/** So that a port published at 127.0.0.1 leads there. */
export function routeLoopback(bridge: string): Promise<void> {
  return setKernel(`net/ipv4/conf/${bridge}/route_localnet`, '1');
}

/** Names of bridges of this mark. */
export async function bridgesOf(mark: string): Promise<readonly string[]> {
  const links = Links.parse(JSON.parse(await run('ip', ['-json', 'link', 'show', 'type', 'bridge']) || '[]'));
  return links.filter(({ifalias}) => ifalias === mark).map(({ifname}) => ifname);
}

/** Which pairs there are, by the name on the machine's side, and the bridges they are on. */
export async function pairs(): Promise<ReadonlyMap<string, string | undefined>> {
  const links = Links.parse(JSON.parse(await run('ip', ['-json', 'link', 'show', 'type', 'veth']) || '[]'));
  return new Map(links.map(({ifname, master}) => [ifname, master]));
}

/** Ranges that this machine reaches by itself: new ones keep off them. */
export async function rangesInUse(): Promise<readonly string[]> {
  const routes = Routes.parse(JSON.parse(await run('ip', ['-4', '-json', 'route', 'show', 'table', 'all']) || '[]'));
  return routes.map(({dst}) => dst).filter((dst) => /^\d+\./.test(dst));
}

/**
 * Connects the network namespace of a process: `eth0` and on. A pair of that name which is there is of an earlier start, whose
 * namespace the kernel has not removed yet.
 * @param names of the pairs on the machine's side, one for each attachment
 */
export async function connect(shell: Shell, pid: number, attachments: readonly Attachment[], names: readonly string[]): Promise<void> {
  const outside = attachments.flatMap(({bridge, mtu, address}, at) => [
    `link add name ${names[at]} mtu ${mtu} master ${bridge} up type veth peer name eth${at} address ${hardwareAddress(address)} mtu ${mtu} netns ${pid}`,
    // It may be led to itself, by its published port.
    `link set dev ${names[at]} type bridge_slave hairpin on`,
  ]);
  const inside = [
    ...attachments.flatMap(({address, subnet}, at) => [`addr add ${address}/${subnet.split('/')[1] ?? ''} broadcast + dev eth${at}`, `link set dev eth${at} up`]),
    ...attachments.slice(0, 1).map(({gateway}) => `route add default via ${gateway} dev eth0`),
  ];
  const both = [ipLines(outside), ipLines(inside, pid)];
  try {
    await shell.run(...both);
  } catch (error) {
    if (!/File exists/.test(String(error))) throw error;
    for (const name of names) await disconnect(name);
    await shell.run(...both);
  }
}

/** Puts the machine's side of a pair on its bridge again. */
export async function reconnect(name: string, bridge: string): Promise<void> {
  await ip([`link set dev ${name} master ${bridge} up`, `link set dev ${name} type bridge_slave hairpin on`]);
}

/** One that is gone is no error. */
export async function disconnect(name: string): Promise<void> {
  await ip([`link del dev ${name}`]).catch((error: unknown) => {
    if (!/Cannot find device/.test(String(error))) throw error;
  });
}

/** As `10.0.0.1/24`. undefined: there is no such interface. */
async function addressesOf(name: string): Promise<readonly string[] | undefined> {
  try {
    const [link] = Addressed.parse(JSON.parse(await run('ip', ['-4', '-json', 'addr', 'show', 'dev', name]) || '[]'));
    return (link?.addr_info ?? []).map(({local, prefixlen}) => `${local}/${prefixlen}`);
  } catch (error) {
    if (/does not exist/.test(String(error))) return undefined;
    throw error;
  }
}

async function setKernel(name: string, value: string): Promise<void> {
  const path = `/proc/sys/${name}`;
  if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
}
