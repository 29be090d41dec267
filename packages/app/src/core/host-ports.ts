/** Fixed host ports are claimed by apps: two apps on one port cannot both run where there are not machines enough. */
import {hostPortsClash, type AppRecord, type AppSpec, type FieldError, type HostPort, type PortSpec} from '@hivemind/contracts';

export interface PortClash {
  /** Index in the spec's ports. */
  readonly index: number;
  readonly port: PortSpec;
  readonly other: AppRecord;
}

/** The port itself, where it is one fixed port of the machine rather than any, or one of a range. */
function fixed({host, protocol, address}: PortSpec): HostPort | undefined {
  return typeof host === 'number' && host > 0 ? {host, protocol, ...(address === undefined ? {} : {address})} : undefined;
}

function clash(a: PortSpec, b: PortSpec): boolean {
  const [one, other] = [fixed(a), fixed(b)];
  return one !== undefined && other !== undefined && hostPortsClash(one, other);
}

/** The first fixed port that another app has too, where `machines` cannot hold a container of each. */
export function portClash(app: {readonly namespace: string; readonly name: string; readonly spec: AppSpec}, others: readonly AppRecord[], machines: number): PortClash | undefined {
  for (const [index, port] of app.spec.ports.entries()) {
    for (const other of others) {
      if ((other.namespace === app.namespace && other.name === app.name) || other.deletedAt !== undefined) continue;
      const claimed = other.spec.ports.some((theirs) => clash(port, theirs));
      if (claimed && Math.max(1, app.spec.replicas) + Math.max(1, other.spec.replicas) > machines) return {index, port, other};
    }
  }
  return undefined;
}

/** What is wrong within the ports of one spec. */
export function portErrors(ports: readonly PortSpec[]): readonly FieldError[] {
  return ports.flatMap((port, index): FieldError[] => {
    const path = `spec.ports[${index}]`;
    if (typeof port.host === 'string') {
      const [from = 0, to = 0] = port.host.split('-').map(Number);
      if (from < 1 || to > 65_535 || from > to) return [{path: `${path}.host`, message: `${port.host}: is not a range of ports: the first is at most the last, and both are 1 to 65535`}];
    }
    const twice = ports.slice(0, index).find((earlier) => clash(port, earlier));
    return twice === undefined ? [] : [{path: `${path}.host`, message: `${port.host}: is taken by another port of the same app`}];
  });
}
