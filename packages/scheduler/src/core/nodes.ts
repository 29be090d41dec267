/** What placement knows of a machine, put together from the records of their owners. */
import type {AllocationRecord, NodeLeaseRecord, NodeRecord, NodeStatusRecord} from '@hivemind/contracts';

export type Allocated = AllocationRecord['containers'][string];

export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Why nothing new may be placed on it now, in words; undefined when something may. */
  readonly closed?: string;
  /** Millicores, bytes, containers. */
  readonly capacity: {readonly cpu: number; readonly memory: number; readonly pods: number};
  /** What it has promised, by container id. */
  readonly containers: Readonly<Record<string, Allocated>>;
}

export interface NodeRecords {
  readonly node: NodeRecord;
  readonly status?: NodeStatusRecord;
  readonly lease?: NodeLeaseRecord;
  readonly allocation?: AllocationRecord;
}

export function nodeView({node, status, lease, allocation}: NodeRecords): NodeView {
  return {
    name: node.name,
    // What a person set wins over what the machine says of itself.
    labels: {...status?.report.labels, ...node.labels},
    closed: closedBecause(node, status, lease),
    capacity: status?.report.capacity ?? {cpu: 0, memory: 0, pods: 0},
    containers: allocation?.containers ?? {},
  };
}

function closedBecause(node: NodeRecord, status: NodeStatusRecord | undefined, lease: NodeLeaseRecord | undefined): string | undefined {
  if (status === undefined) return 'has not reported what it has yet';
  if (lease === undefined) return `is not ready: its agent was last heard at ${status.lastSeenAt}`;
  if (!status.report.runtime.available) {
    const {message} = status.report.runtime;
    return `its container engine is not available${message === undefined ? '' : `: ${message}`}`;
  }
  if (node.spec.unschedulable) return 'is cordoned: it takes no new containers';
  const taint = node.spec.taints.find(({effect}) => effect !== 'PreferNoSchedule');
  if (taint !== undefined) return `has the taint ${taint.key}${taint.value === undefined ? '' : `=${taint.value}`}:${taint.effect}`;
  return undefined;
}
