/** Fixed host ports are claimed by apps: two apps on one port cannot both run where there are not machines enough. */
import type {AppRecord, AppSpec, FieldError, PortSpec} from '@hivemind/contracts';

export interface PortClash {
  /** Index in the spec's ports. */
  readonly index: number;
  readonly port: PortSpec;
  readonly other: AppRecord;
}

type Listener = Pick<PortSpec, 'host' | 'protocol' | 'address'>;

function everyAddress(address: string | undefined): boolean {
  return address === undefined || address === '0.0.0.0' || address === '::';
}

function sameListener(a: Listener, b: Listener): boolean {
  return a.host === b.host && a.protocol === b.protocol && (everyAddress(a.address) || everyAddress(b.address) || a.address === b.address);
}

function isFixed({host}: Listener): boolean {
  return typeof host === 'number' && host > 0;
}

/** The first fixed port that another app has too, where `machines` cannot hold a container of each. */
export function portClash(app: {readonly namespace: string; readonly name: string; readonly spec: AppSpec}, others: readonly AppRecord[], machines: number): PortClash | undefined {
  for (const [index, port] of app.spec.ports.entries()) {
    if (!isFixed(port)) continue;
    for (const other of others) {
      if ((other.namespace === app.namespace && other.name === app.name) || other.deletedAt !== undefined) continue;
      const claimed = other.spec.ports.some((theirs) => isFixed(theirs) && sameListener(port, theirs));
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
    const twice = ports.slice(0, index).find((earlier) => isFixed(port) && sameListener(port, earlier));
    return twice === undefined ? [] : [{path: `${path}.host`, message: `${port.host}: is taken by another port of the same app`}];
  });
}
