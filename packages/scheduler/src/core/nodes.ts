/** What placement knows of a machine, put together from the records of their owners. */
import type {AllocationRecord, NodeLeaseRecord, NodeRecord, NodeStatusRecord, NodeVerdict, Taint} from '@hivemind/contracts';

export type Allocated = AllocationRecord['containers'][string];

export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Why nothing new may be placed on it now, in words; undefined when something may. */
  readonly closed?: string;
  readonly taints?: readonly Taint[];
  /** Its engine publishes ports, each for one container, also where other machines lead theirs to several. */
  readonly holdsPorts?: boolean;
  /** Millicores, bytes, containers. */
  readonly capacity: {readonly cpu: number; readonly memory: number; readonly pods: number};
  /** What it has promised, by container id. */
  readonly containers: Readonly<Record<string, Allocated>>;
}

export interface NodeRecords {
  readonly node: NodeRecord;
  readonly status?: NodeStatusRecord;
  readonly lease?: NodeLeaseRecord;
  readonly verdict?: NodeVerdict;
  readonly allocation?: AllocationRecord;
}

export function nodeView(records: NodeRecords): NodeView {
  const {node, status, allocation} = records;
  return {
    name: node.name,
    // What a person set wins over what the machine says of itself.
    labels: {...status?.report.labels, ...node.labels},
    closed: closedBecause(records),
    taints: node.spec.taints,
    holdsPorts: status?.report.hostPorts === undefined,
    capacity: status?.report.capacity ?? {cpu: 0, memory: 0, pods: 0},
    containers: allocation?.containers ?? {},
  };
}

function closedBecause({node, status, lease, verdict}: NodeRecords): string | undefined {
  if (status === undefined) return 'has not reported what it has yet';
  if (verdict?.state === 'dead') return `is dead: ${verdict.message}`;
  if (lease === undefined || verdict?.state === 'unreachable') return `is not ready: its agent was last heard at ${status.lastSeenAt}`;
  if (!status.report.runtime.available) {
    const {message} = status.report.runtime;
    return `its container engine is not available${message === undefined ? '' : `: ${message}`}`;
  }
  if (node.spec.maintenance === true) return 'is in maintenance: it takes no new containers';
  if (node.spec.drain !== undefined) return 'is being drained: it takes no new containers';
  if (node.spec.unschedulable) return 'is cordoned: it takes no new containers';
  return undefined;
}
