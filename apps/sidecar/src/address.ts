/** `host:port` as people write it. */
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import type {Address} from '@hivemind/membership/model';

/** A host may be a name still. */
export type HostPort = Address;

/** undefined: not of the form `host:port` or `[IPv6]:port`. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, v6, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (v6 !== undefined && isIP(v6) !== 6)) return undefined;
  return {host, port};
}

/** undefined: not an IP address and a port. */
export function parseAddress(text: string): Address | undefined {
  const parsed = parseHostPort(text);
  return parsed && isIP(parsed.host) !== 0 ? parsed : undefined;
}

/** Every IP address that a name stands for. Rejects as `lookup` does. */
export async function resolveHost({host, port}: HostPort): Promise<readonly Address[]> {
  if (isIP(host) !== 0) return [{host, port}];
  const found = await lookup(host, {all: true});
  return found.map(({address}) => ({host: address, port}));
}
