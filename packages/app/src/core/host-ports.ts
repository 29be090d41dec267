/**
 * Fixed host ports are claimed by apps: two apps on one port cannot both run where there are not machines enough. Where all machines lead
 * a published port to its app, a port is one app's.
 */
import {everyAddress, hostPortsClash, type AppRecord, type AppSpec, type FieldError, type HostPort, type PortSpec, type ServiceRecord} from '@hivemind/contracts';

export interface PortClash {
  /** Index in the spec's ports. */
  readonly index: number;
  readonly port: PortSpec;
  readonly other: Pick<AppRecord, 'namespace' | 'name'>;
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

/** The first fixed port that leads to another app already, which had asked for any, or for one of a range. */
export function portGiven(app: {readonly namespace: string; readonly name: string; readonly spec: AppSpec}, services: readonly ServiceRecord[]): PortClash | undefined {
  for (const [index, port] of app.spec.ports.entries()) {
    const wanted = fixed(port);
    const other = wanted && services.find(({namespace, name, published = []}) => (namespace !== app.namespace || name !== app.name) && published.some((one) => hostPortsClash(wanted, {host: one.port, protocol: one.protocol, ...(one.address === undefined ? {} : {address: one.address})})));
    if (other) return {index, port, other};
  }
  return undefined;
}

/** What is wrong within the ports of one spec. @param shared all machines lead a published port to its app */
export function portErrors(ports: readonly PortSpec[], shared = false): readonly FieldError[] {
  return ports.flatMap((port, index): FieldError[] => {
    const path = `spec.ports[${index}]`;
    if (typeof port.host === 'string') {
      const [from = 0, to = 0] = port.host.split('-').map(Number);
      if (from < 1 || to > 65_535 || from > to) return [{path: `${path}.host`, message: `${port.host}: is not a range of ports: the first is at most the last, and both are 1 to 65535`}];
    }
    if (shared && port.host !== undefined && !everyAddress(port.address) && port.address?.includes(':') === true) return [{path: `${path}.address`, message: `${port.address}: published ports have IPv4 addresses on this cluster's network; leave it out for every address of the machines`}];
    const twice = ports.slice(0, index).find((earlier) => clash(port, earlier));
    return twice === undefined ? [] : [{path: `${path}.host`, message: `${port.host}: is taken by another port of the same app`}];
  });
}
