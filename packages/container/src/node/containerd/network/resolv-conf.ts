/** Where a container asks for names. */
import {readFile} from 'node:fs/promises';
import type {RuntimeSpec} from '@hivemind/runtime';

/** systemd's file names a stub on this machine's loopback, which containers do not reach; what it asks is in the other. */
const FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

export async function resolvConf({record, network, networks}: RuntimeSpec): Promise<string> {
  const {dns} = record.template;
  const servers = dns !== undefined && dns.length > 0 ? dns : (network?.dns.servers ?? []);
  const connected = network !== undefined || networks.length > 0;
  const own = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(network === undefined || network.dns.search.length === 0 ? [] : [`search ${network.dns.search.join(' ')}`]),
    ...(network === undefined || network.dns.options.length === 0 ? [] : [`options ${network.dns.options.join(' ')}`]),
  ];
  if (servers.length > 0) return `${own.join('\n')}\n`;
  let reached: readonly string[] = [];
  for (const file of FILES) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (!connected) return text;
    reached = text.split('\n').filter((line) => line.trim() !== '' && !/^\s*nameserver\s+(127\.|::1\b)/.test(line));
    if (reached.some((line) => /^\s*nameserver\s/.test(line))) break;
  }
  // The machine's own domains, unless the cluster has some.
  return [...reached.filter((line) => own.length === 0 || /^\s*nameserver\s/.test(line)), ...own, ''].join('\n');
}
