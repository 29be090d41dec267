/** Who listens on this machine, from what the kernel prints of its sockets (`/proc/net/tcp` and its like). Pure. */
import type {HostPort} from '@hivemind/contracts';

/** TCP that listens, UDP that talks to nobody in particular. */
const LISTENS = '0A';
const OPEN = '07';

/**
 * Those that a translation of IPv4 would take something from: an address of IPv6 alone is left out, all addresses of it are not, for
 * they mostly stand for all of IPv4 too.
 */
export function listenersOf(table: string, protocol: HostPort['protocol']): readonly HostPort[] {
  return table.split('\n').slice(1).flatMap((line): HostPort[] => {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    const isOpen = protocol === 'tcp' ? state === LISTENS : state === OPEN && /^0+:0000$/.test(remote);
    const host = Number.parseInt(port, 16);
    if (!isOpen || !(host > 0)) return [];
    if (/^0+$/.test(address)) return [{host, protocol}];
    const four = address.length === 8 ? address : /^0{16}FFFF0000([0-9A-F]{8})$/.exec(address)?.[1];
    return four === undefined ? [] : [{host, protocol, address: textOf(four)}];
  });
}

/** Listeners come first in the table of TCP: behind the last of them nothing need be read. */
export function isPastListeners(table: string): boolean {
  const lines = table.split('\n').slice(1, -1);
  return lines.some((line) => line.trim().split(/\s+/)[3] !== LISTENS);
}

/** Four bytes, the last first, as a little-endian machine keeps them. */
function textOf(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}
