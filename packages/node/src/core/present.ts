/** A machine as the API answers it. Pure. */
import type {AllocationRecord, Condition, Node, NodeLeaseRecord, NodeRecord, NodeStatusRecord} from '@hivemind/contracts';

export interface NodeView {
  readonly node: NodeRecord;
  /** The record's version in the store: its ETag. */
  readonly version: number;
  readonly status: NodeStatusRecord | undefined;
  /** Gone when the agent was not heard for the length of its lease. */
  readonly lease: NodeLeaseRecord | undefined;
  readonly allocation: AllocationRecord | undefined;
}

export function allocated(allocation: AllocationRecord | undefined): Node['status']['allocated'] {
  const amounts = Object.values(allocation?.containers ?? {});
  return {
    cpu: amounts.reduce((sum, {cpu}) => sum + cpu, 0),
    memory: amounts.reduce((sum, {memory}) => sum + memory, 0),
    containers: amounts.length,
  };
}

/** @param now RFC 3339: the node is seen now while it holds its lease */
export function presentNode({node, version, status, lease, allocation}: NodeView, now: string): Node {
  const reachable = lease !== undefined && lease.session === status?.session;
  const report = status?.report;
  const runtime = report?.runtime ?? {name: 'unknown', version: '', available: false};
  const since = status?.lastSeenAt ?? node.meta.createdAt;
  return {
    kind: 'Node',
    name: node.name,
    labels: node.labels,
    annotations: node.annotations,
    spec: node.spec,
    status: {
      phase: reachable ? 'ready' : 'unreachable',
      session: status?.session ?? 0,
      capacity: report?.capacity ?? {cpu: 0, memory: 0, disk: 0, pods: 0},
      runtime,
      agentVersion: report?.agentVersion ?? '',
      lastSeenAt: reachable ? now : since,
      conditions: [
        condition('Reachable', reachable, since, reachable ? 'Heard' : 'LeaseLapsed', reachable ? '' : 'its agent was not heard for 15 s'),
        condition('RuntimeAvailable', runtime.available, since, runtime.available ? 'Answers' : 'RuntimeUnavailable', runtime.message ?? ''),
        condition('Schedulable', !node.spec.unschedulable, node.meta.updatedAt, node.spec.unschedulable ? 'Cordoned' : 'Open', ''),
      ],
      allocated: allocated(allocation),
    },
    meta: {...node.meta, version},
  };
}

function condition(type: string, holds: boolean, since: string, reason: string, message: string): Condition {
  return {type, status: holds ? 'true' : 'false', reason, message, since};
}
