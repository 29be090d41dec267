/** Where the API listens. Off loopback nothing is served in the clear, unless someone said so (law 16). */
import {isIP} from 'node:net';
import {gatewayErrors} from './errors.ts';

export const DEFAULT_LISTEN = '127.0.0.1:4483';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type TlsMode = 'auto' | 'off';

/** Reads `HOST:PORT`; IPv6 in brackets. @throws `invalid-listen` */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.v6 ?? match?.groups?.name;
  const port = Number(match?.groups?.port);
  if (host === undefined || port > 65_535 || (match?.groups?.v6 !== undefined && isIP(host) !== 6)) {
    throw gatewayErrors['invalid-listen'](`"${text}" is not an address: write HOST:PORT, as in ${DEFAULT_LISTEN} or [::1]:4483.`);
  }
  return {host, port};
}

export function isLoopback({host}: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** @throws `tls-required` for an address that others can reach, in the clear */
export function checkListen(address: ListenAddress, tls: TlsMode): void {
  if (isLoopback(address) || tls === 'off') return;
  throw gatewayErrors['tls-required'](
    `${address.host}:${address.port} can be reached from other machines, and this release does not serve TLS yet. ` +
    'Listen on 127.0.0.1 (and forward the port with ssh), or pass --tls off on a closed test network.',
  );
}
