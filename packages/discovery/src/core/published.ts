/**
 * Which ports of the machines lead to a service. One that was asked for by its number goes to who has it, else to the app that asked
 * first; any free one is, as with virtual IPs, where the app's name hashes to, or the next that is free. What a service has it keeps.
 */
import {everyAddress, type HostPort, hostPortsClash, type PortSpec, type PublishedPort} from '@hivemind/contracts';
import {hashOf} from './virtual-ips.ts';

/** Where any free one is taken from, both inclusive: below what kernels give to those who connect. */
export const FREE_PORTS = {first: 30_000, last: 32_767} as const;

export interface Publishing {
  readonly published: readonly PublishedPort[];
  readonly problems: readonly {readonly reason: string; readonly message: string}[];
}

export interface PublishInput {
  /** namespace/name. */
  readonly key: string;
  readonly ports: readonly PortSpec[];
  readonly before: readonly PublishedPort[];
  /** Another service that has it. */
  readonly holder: (port: HostPort) => string | undefined;
  /** Another app that asks for it by its number; `sooner`: one that was there before this one. */
  readonly claimant: (port: HostPort, sooner: boolean) => string | undefined;
}

export function publish({key, ports, before, holder, claimant}: PublishInput): Publishing {
  const published: PublishedPort[] = [];
  const problems: {reason: string; message: string}[] = [];
  const left = [...before];
  for (const {name, container, protocol, host, address: written} of ports) {
    if (host === undefined) continue;
    const address = everyAddress(written) ? undefined : written;
    if (address?.includes(':') === true) {
      problems.push({reason: 'AddressUnsupported', message: `port ${container} is not published at ${address}: published ports have IPv4 addresses`});
      continue;
    }
    const at = (number: number): HostPort => ({host: number, protocol, ...(address === undefined ? {} : {address})});
    const own = (number: number): boolean => published.some((one) => hostPortsClash(at(number), {host: one.port, protocol: one.protocol, ...(one.address === undefined ? {} : {address: one.address})}));
    const fits = (number: number): boolean => (typeof host === 'number' ? host === 0 ? number >= FREE_PORTS.first && number <= FREE_PORTS.last : number === host : within(host, number));
    const had = left.findIndex((one) => one.targetPort === container && one.protocol === protocol && one.address === address && fits(one.port) && !own(one.port));
    const [kept] = had < 0 ? [] : left.splice(had, 1);
    const port = kept !== undefined && holder(at(kept.port)) === undefined ? kept.port
      : [...candidates(host, `${key}/${protocol}/${container}`)].find((number) => !own(number) && holder(at(number)) === undefined && claimant(at(number), host !== 0) === undefined);
    if (port === undefined) problems.push({reason: 'PortTaken', message: messageOf(host, protocol, typeof host === 'number' && host > 0 ? holder(at(host)) ?? claimant(at(host), true) : undefined)});
    else published.push({...(name === undefined ? {} : {name}), port, targetPort: container, protocol, ...(address === undefined ? {} : {address})});
  }
  return {published, problems: joined(problems)};
}

function messageOf(host: number | string, protocol: string, other: string | undefined): string {
  if (host === 0) return `every port of ${FREE_PORTS.first}-${FREE_PORTS.last}/${protocol} is taken: ask for one by its number, or delete apps`;
  return typeof host === 'string' ? `every port of ${host}/${protocol} is taken: widen the range, or write 0 for any free one` : `host port ${host}/${protocol} belongs to app ${other ?? ''}: use another port, 0 for any free one, or a range`;
}

/** In the order they are tried. */
function* candidates(host: number | string, key: string): Generator<number> {
  if (typeof host === 'number' && host > 0) return yield host;
  if (typeof host === 'string') {
    const [from = 0, to = 0] = host.split('-').map(Number);
    for (let port = from; port <= to; port++) yield port;
    return;
  }
  const size = FREE_PORTS.last - FREE_PORTS.first + 1;
  const start = hashOf(key) % size;
  for (let step = 0; step < size; step++) yield FREE_PORTS.first + ((start + step) % size);
}

function within(range: string, port: number): boolean {
  const [from = 0, to = 0] = range.split('-').map(Number);
  return port >= from && port <= to;
}

/** One of each reason. */
function joined(problems: readonly {readonly reason: string; readonly message: string}[]): Publishing['problems'] {
  return [...Map.groupBy(problems, ({reason}) => reason)].map(([reason, all]) => ({reason, message: all.map(({message}) => message).join('; ')}));
}
