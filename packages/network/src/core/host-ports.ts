/**
 * Which published ports lead to containers on this machine. One that a process listened on before is left to it; one that led to
 * containers before the process listened goes on leading there. Pure.
 */
import {hostPortsClash, type HostPort, type TakenPort} from '@hivemind/contracts';
import type {PublishedPort} from './balance/compile.ts';

/** A port, and the service (namespace/name) that it is to lead to. */
export interface WantedPort extends PublishedPort {
  readonly service: string;
}

export interface Machine {
  readonly listeners: readonly HostPort[];
  /** Bound by the engine for containers that were made before machines led their ports on; no process of somebody else has those. */
  readonly engine: readonly {readonly service: string; readonly host: number; readonly protocol: 'tcp' | 'udp'}[];
  /** Its own, without the loopback's. */
  readonly addresses: ReadonlySet<string>;
}

export interface Decision {
  /** By {@link keyOf}. */
  readonly led: ReadonlySet<string>;
  readonly taken: readonly TakenPort[];
  /** Led on, though a process listens by now, which gets nothing. */
  readonly overridden: readonly WantedPort[];
}

export function keyOf({protocol, port, address = ''}: Pick<PublishedPort, 'protocol' | 'port' | 'address'>): string {
  return `${protocol}/${port}/${address}`;
}

/** @param led what led to containers until now */
export function decide(wanted: readonly WantedPort[], led: ReadonlySet<string>, {listeners, engine, addresses}: Machine): Decision {
  const next = new Set<string>();
  const taken: TakenPort[] = [];
  const overridden: WantedPort[] = [];
  for (const port of wanted) {
    // One that is not this machine's is another's to lead on.
    if (port.address !== undefined && !port.address.startsWith('127.') && !addresses.has(port.address)) continue;
    const isTaken = listeners.some((listener) => hostPortsClash(listener, hostPort(port))) && !engine.some(({service, host, protocol}) => service === port.service && host === port.port && protocol === port.protocol);
    const key = keyOf(port);
    if (!isTaken || led.has(key)) next.add(key);
    if (!isTaken) continue;
    if (led.has(key)) overridden.push(port);
    else taken.push({port: port.port, protocol: port.protocol, ...(port.address === undefined ? {} : {address: port.address}), service: port.service});
  }
  return {led: next, taken, overridden};
}

function hostPort({port, protocol, address}: PublishedPort): HostPort {
  return {host: port, protocol, ...(address === undefined ? {} : {address})};
}
