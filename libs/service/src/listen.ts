/** Where a service listens, and where others reach it. */
import {isIP} from 'node:net';
import {serviceErrors} from './errors.ts';
import type {HttpServer} from './http.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`; IPv6 in brackets. @throws `invalid-listen` */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.v6 ?? match?.groups?.name;
  const port = Number(match?.groups?.port);
  if (host === undefined || port > 65_535 || (match?.groups?.v6 !== undefined && isIP(host) !== 6)) {
    throw serviceErrors['invalid-listen'](`"${text}" is not an address: write HOST:PORT, as in 127.0.0.1:4483 or [::1]:4483.`);
  }
  return {host, port};
}

export function isLoopback({host}: Pick<ListenAddress, 'host'>): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Whether it stands for every address of the machine, so that nobody can be told to connect to it. */
export const isWildcard = ({host}: Pick<ListenAddress, 'host'>): boolean => host === '0.0.0.0' || host === '::';

/** `HOST:PORT`, with IPv6 in brackets. */
export const hostPort = ({host, port}: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Answers the port that was bound. @throws `address-in-use`, `invalid-listen` */
export async function listenOn(http: HttpServer, {host, port}: ListenAddress): Promise<number> {
  try {
    await http.listen({host, port});
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
    if (code === undefined || code.startsWith('FST_')) throw error;
    if (code === 'EADDRINUSE') throw serviceErrors['address-in-use'](`Something else listens on ${host}:${port}. Stop it, or choose another with --listen HOST:PORT.`, {cause: error});
    throw serviceErrors['invalid-listen'](`${host}:${port} cannot be listened on (${code}). Choose an address of this machine, and a port above 1023 unless you are root.`, {cause: error});
  }
  const bound = http.server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}
