/** Who is connected to a container, as the kernel lists it: no traffic is looked at. */
import {readFile} from 'node:fs/promises';

const LISTENING = '0A';
/** Established, or not all of it has arrived yet: SYN_RECV, FIN_WAIT1, CLOSE_WAIT (the other side may still be answered), LAST_ACK, CLOSING. */
const UNDER_WAY: ReadonlySet<string> = new Set(['01', '03', '04', '08', '09', '0B']);
/** 127.0.0.0/8, plain and within IPv6, and ::1, in the kernel's order of bytes. */
const OWN = /^((0{16}F{4}0{4})?[0-9A-F]{6}7F|0{24}01000000)$/;

/** Connections that others made to the container with this main process, and that are not over; none where that cannot be read. */
export async function connectionsTo(pid: number): Promise<number> {
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/net/${file}`, 'latin1').catch(() => '');
  return countConnections(await Promise.all([read('tcp'), read('tcp6')]));
}

/** @param tables as in /proc/net/tcp and /proc/net/tcp6. A container's connections with itself do not count. */
export function countConnections(tables: readonly string[]): number {
  const ports = new Set<string>();
  const served: string[] = [];
  for (const line of tables.flatMap((table) => table.split('\n'))) {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/, 4);
    const port = local.slice(local.indexOf(':') + 1);
    if (state === LISTENING) ports.add(port);
    else if (UNDER_WAY.has(state) && !OWN.test(remote.slice(0, remote.indexOf(':')))) served.push(port);
  }
  return served.filter((port) => ports.has(port)).length;
}
