/** What a member is started with, checked. */
import {isIP} from 'node:net';
import {networkInterfaces} from 'node:os';
import {commonErrors} from '@hivemind/contracts/define-errors';
import type {Logger} from 'pino';
import type {ProtocolConfig} from '../core/config.ts';
import type {Address} from '../core/messages.ts';
import type {Metadata} from '../core/metadata.ts';
import {canonicalAddress} from '../wire/index.ts';
import type {Rates} from './rate.ts';

export interface MemberOptions {
  /** 1 to 128 characters, the only one of that name in the ring. */
  readonly name: string;
  /** Where to listen, for UDP and TCP. Port 0: any that is free. */
  readonly bind: Address;
  /** What others should send to, where that is another address. Default: where it listens, or this machine's first address outside. */
  readonly advertise?: Address;
  /** Members to ask for the ring, in the background until one has answered. */
  readonly join?: readonly Address[];
  /** 16, 24 or 32 bytes each; the first is sent with. Absent: nothing is sealed. */
  readonly keys?: readonly Uint8Array[];
  /** Keeps rings apart that can hear each other; 1 to 255 bytes of UTF-8. */
  readonly label?: string;
  readonly metadata?: Metadata;
  /** Remembers members and its incarnation here, to find the ring again after all of it was restarted. Made when absent. */
  readonly dataDir?: string;
  readonly config?: Partial<ProtocolConfig>;
  readonly rates?: Partial<Rates>;
  readonly logger: Logger;
}

/** Errors: `invalid-input` (422), naming the field. */
export function checkOptions(options: MemberOptions): MemberOptions {
  const bind = checkAddress('bind', options.bind, 0);
  const label = options.label === undefined ? 1 : Buffer.byteLength(options.label);
  if (label < 1 || label > 255) throw invalid('label', `a label has 1 to 255 bytes, not ${label}`);
  if (options.keys?.length === 0) throw invalid('keys', 'there is no key in it: give one of 16, 24 or 32 bytes, or leave it out for a ring without encryption');
  return {
    ...options,
    bind,
    ...(options.advertise ? {advertise: checkAddress('advertise', options.advertise, 1)} : {}),
    join: (options.join ?? []).map((address, n) => checkAddress(`join[${n}]`, address, 1)),
  };
}

/** What is told to others, of a member that listens at `bound`. Errors: `invalid-input` (422). */
export function advertised(bound: Address, advertise: Address | undefined): Address {
  if (advertise) return advertise;
  const every = bound.host === '0.0.0.0' || bound.host === '::';
  if (!every) return bound;
  const family = bound.host === '::' ? 'IPv6' : 'IPv4';
  const outside = Object.values(networkInterfaces()).flat().find((one) => one && !one.internal && one.family === family && !one.address.startsWith('fe80:'));
  if (!outside) throw invalid('advertise', `this machine has no ${family} address that others could send to: say which one`);
  return {host: canonicalAddress(outside.address) ?? outside.address, port: bound.port};
}

export function checkAddress(field: string, {host, port}: Address, leastPort: 0 | 1): Address {
  const canonical = isIP(host) === 0 ? undefined : canonicalAddress(host);
  if (canonical === undefined) throw invalid(`${field}.host`, `"${host}" is no IP address: write it as 10.0.0.1 or fd00::1`);
  if (!Number.isInteger(port) || port < leastPort || port > 65_535) throw invalid(`${field}.port`, `${port} is no port: take one from ${leastPort} to 65535`);
  return {host: canonical, port};
}

function invalid(path: string, message: string): Error {
  return commonErrors['invalid-input'](`${path}: ${message}`, {errors: [{path, message}]});
}
