/** `ports` and `expose`: short forms with addresses, ranges and protocols, and the long form, to Hivemind's ports. */
import type {AppSpecInput} from '@hivemind/contracts';
import type {LongPort} from './schema.ts';

export type Port = NonNullable<AppSpecInput['ports']>[number];

/** Either the ports, or what is wrong. */
export type PortResult = {readonly ports: readonly Port[]} | {readonly problem: string};

interface Range {
  readonly from: number;
  readonly to: number;
}

const shortForm = /^(?:(?<address>\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+|\*):)?(?:(?<host>\d*(?:-\d+)?):)?(?<container>\d+(?:-\d+)?)(?:\/(?<protocol>[a-z]+))?$/i;
const grammar = 'write CONTAINER, HOST:CONTAINER or ADDRESS:HOST:CONTAINER, each a port or a range, and /udp at the end where it is not TCP';

/** A published port without a host port gets a free one: `host: 0`. */
export function readPort(port: string | number | LongPort): PortResult {
  if (typeof port === 'object') return readLong(port);
  const groups = shortForm.exec(String(port).trim())?.groups;
  if (!groups?.container) return {problem: `${JSON.stringify(port)} is not a port: ${grammar}`};
  return expand({
    container: groups.container,
    host: groups.host === undefined || groups.host === '' ? undefined : groups.host,
    protocol: (groups.protocol ?? 'tcp').toLowerCase(),
    address: groups.address === undefined || groups.address === '*' ? undefined : groups.address.replace(/^\[(.*)\]$/, '$1'),
  });
}

/** `expose`: a port of the container that nothing publishes. */
export function readExposed(port: string | number): PortResult {
  const result = readPort(port);
  if ('problem' in result || String(port).includes(':')) return {problem: `${JSON.stringify(port)} is not a port to expose: write a port or a range, and /udp at the end where it is not TCP`};
  return {ports: result.ports.map(({host: _host, ...rest}) => rest)};
}

/** What makes two entries the same port: address, host port, container port and protocol. */
export function portKey(port: unknown): string {
  if (typeof port !== 'object' || port === null) {
    const groups = shortForm.exec(String(port))?.groups;
    return groups === undefined ? JSON.stringify(port) : [groups.address ?? '', groups.host ?? '', groups.container, groups.protocol ?? 'tcp'].join('|');
  }
  const field = (name: string): string => String(Reflect.get(port, name) ?? '');
  return [field('host_ip'), field('published'), field('target'), field('protocol') || 'tcp'].join('|');
}

function readLong(port: LongPort): PortResult {
  const result = expand({
    container: String(port.target),
    host: port.published === undefined || port.published === '' ? undefined : String(port.published),
    protocol: port.protocol ?? 'tcp',
    address: port.host_ip,
  });
  return 'ports' in result && port.name !== undefined && result.ports.length === 1 ? {ports: result.ports.map((one) => ({...one, name: port.name}))} : result;
}

function expand(written: {readonly container: string; readonly host: string | undefined; readonly protocol: string; readonly address: string | undefined}): PortResult {
  const {protocol, address} = written;
  if (protocol !== 'tcp' && protocol !== 'udp') return {problem: `the protocol ${protocol} cannot be published; use tcp or udp`};
  const container = range(written.container);
  const host = written.host === undefined ? undefined : range(written.host);
  if (container === undefined || (written.host !== undefined && host === undefined)) return {problem: `${written.host ?? ''}:${written.container} is out of range: ports are 1 to 65535, and a range goes up`};
  const count = container.to - container.from + 1;
  const hostCount = host === undefined ? 0 : host.to - host.from + 1;
  const common = {protocol, ...(address === undefined || address === '0.0.0.0' ? {} : {address})} as const;
  // One container port behind a range: any one of the range is taken.
  if (count === 1 && host !== undefined && hostCount > 1) return {ports: [{container: container.from, host: `${host.from}-${host.to}`, ...common}]};
  if (host !== undefined && hostCount !== count) return {problem: `the ranges ${written.host} and ${written.container} are not of one length`};
  return {ports: Array.from({length: count}, (_, index) => ({container: container.from + index, host: host === undefined ? 0 : host.from + index, ...common}))};
}

function range(text: string): Range | undefined {
  const [first = '', last = first] = text.split('-');
  const from = Number(first);
  const to = Number(last);
  const valid = Number.isInteger(from) && Number.isInteger(to) && first !== '' && from >= 0 && to <= 65_535 && from <= to && to > 0;
  return valid ? {from, to} : undefined;
}
