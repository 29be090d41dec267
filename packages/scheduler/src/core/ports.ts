/** Host ports: which are asked for, which are taken, and one choice that satisfies all of a container's ports. */
import {hostPortsClash, type HostPort, type PlacementRequest, type PortBinding} from '@hivemind/contracts';

export type PortRequest = PlacementRequest['ports'][number];

export interface TakenPort extends HostPort {
  /** Who has it, in words. */
  readonly by: string;
}

export type PortChoice = {readonly ok: true; readonly ports: readonly PortBinding[]} | {readonly ok: false; readonly reason: string};

/** The ports that would do, inclusive; undefined when none is asked for or the engine chooses (0). */
function wanted(host: PortRequest['host']): {readonly from: number; readonly to: number} | undefined {
  if (host === undefined || host === 0) return undefined;
  if (typeof host === 'number') return {from: host, to: host};
  const [from = 0, to = 0] = host.split('-').map(Number);
  return {from, to};
}

/**
 * One host port for each port that asks for one. Ranges are served in the order of their ends, each taking its lowest
 * free port: a later range that could use that port reaches further, so this finds a choice whenever there is one
 * (for ports of one protocol and address; where addresses are mixed it may refuse a choice that exists, never clash).
 */
export function choosePorts(asked: readonly PortRequest[], taken: readonly TakenPort[]): PortChoice {
  const chosen = new Map<PortRequest, number>();
  const inUse: TakenPort[] = [...taken];
  const ranges = asked.flatMap((port) => {
    const range = wanted(port.host);
    return range === undefined ? [] : [{port, ...range}];
  });
  for (const {port, from, to} of ranges.toSorted((a, b) => a.to - b.to)) {
    const {protocol, address} = port;
    let blocker: TakenPort | undefined;
    let host = from;
    for (; host <= to; host++) {
      const candidate = {host, protocol, address};
      blocker = inUse.find((other) => hostPortsClash(candidate, other));
      if (blocker === undefined) break;
    }
    if (host > to) {
      const which = from === to ? `host port ${from}/${protocol} is taken by ${blocker?.by ?? 'nobody'}` : `every host port of ${from}-${to}/${protocol} is taken`;
      return {ok: false, reason: which};
    }
    chosen.set(port, host);
    inUse.push({host, protocol, address, by: 'another port of the same container'});
  }
  return {ok: true, ports: asked.map((port) => binding(port, chosen.get(port)))};
}

function binding(port: PortRequest, host: number | undefined): PortBinding {
  const {name, container, protocol, address} = port;
  return {
    ...(name === undefined ? {} : {name}),
    container,
    protocol,
    ...(host === undefined ? (port.host === undefined ? {} : {host: 0}) : {host}),
    ...(address === undefined ? {} : {address}),
  };
}
