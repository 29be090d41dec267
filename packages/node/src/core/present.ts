/** A machine as the API answers it. Pure. */
import {type AllocationRecord, type Condition, type Node, type NodeLeaseRecord, type NodeRecord, nodeState, type NodeStatusRecord, type NodeVerdict, type TakenPort} from '@hivemind/contracts';
import type {DrainProgress} from './drain.ts';

export interface NodeView {
  readonly node: NodeRecord;
  /** The record's version in the store: its ETag. */
  readonly version: number;
  readonly status: NodeStatusRecord | undefined;
  /** Gone when the agent was not heard for the length of its lease. */
  readonly lease: NodeLeaseRecord | undefined;
  readonly verdict: NodeVerdict | undefined;
  readonly allocation: AllocationRecord | undefined;
  readonly drain: DrainProgress | undefined;
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
export function presentNode(view: NodeView, now: string): Node {
  const {node, version, status, lease, allocation, drain} = view;
  const report = status?.report;
  return {
    kind: 'Node',
    name: node.name,
    labels: node.labels,
    annotations: node.annotations,
    spec: node.spec,
    status: {
      phase: phaseOf(view),
      session: status?.session ?? 0,
      capacity: report?.capacity ?? {cpu: 0, memory: 0, disk: 0, pods: 0},
      runtime: report?.runtime ?? {name: 'unknown', version: '', available: false},
      agentVersion: report?.agentVersion ?? '',
      lastSeenAt: lease === undefined ? (status?.lastSeenAt ?? node.meta.createdAt) : now,
      conditions: conditionsOf(view),
      allocated: allocated(allocation),
      ...(drain === undefined ? {} : {drain}),
    },
    meta: {...node.meta, version},
  };
}

function phaseOf({node, verdict, status, drain}: NodeView): Node['status']['phase'] {
  const state = nodeState(verdict, status !== undefined);
  if (state !== 'ready') return state;
  if (node.spec.maintenance === true) return 'maintenance';
  return drain?.done === false ? 'draining' : 'ready';
}

function conditionsOf({node, verdict, status, drain}: NodeView): Condition[] {
  const since = status?.lastSeenAt ?? node.meta.createdAt;
  const runtime = status?.report.runtime;
  const closed = node.spec.maintenance === true ? 'Maintenance' : node.spec.drain !== undefined ? 'Draining' : node.spec.unschedulable ? 'Cordoned' : undefined;
  const heard = nodeState(verdict, status !== undefined) === 'ready';
  const conditions = [
    condition('Reachable', heard, verdict?.since ?? since, verdict?.reason ?? (heard ? 'Heard' : 'NeverHeard'), verdict?.message ?? ''),
    condition('RuntimeAvailable', runtime?.available ?? false, since, runtime?.available === true ? 'Answers' : 'RuntimeUnavailable', runtime?.message ?? ''),
    condition('Schedulable', closed === undefined, node.meta.updatedAt, closed ?? 'Open', closed === undefined ? '' : 'it takes no new containers'),
  ];
  const taken = status?.report.hostPorts?.taken ?? [];
  if (taken.length > 0) conditions.push(condition('HostPorts', false, since, 'PortTaken', takenText(taken)));
  if (verdict?.degraded === true) conditions.push(condition('Degraded', true, verdict.since, verdict.reason, verdict.message));
  if (drain !== undefined) conditions.push(condition('Drained', drain.done, drain.since, drain.done ? 'Drained' : 'Draining', drainText(drain)));
  return conditions;
}

/** Published ports that are left to processes of the machine. */
export function takenText(taken: readonly TakenPort[]): string {
  const shown = taken.slice(0, 20).map(({port, protocol, service}) => `${port}/${protocol} of ${service}`).join(', ');
  return `processes of the machine listen on published ports, which lead to no container here: ${shown}${taken.length > 20 ? ', …' : ''}`;
}

/** What is left, and what the first few wait for. */
function drainText({blocked}: DrainProgress): string {
  if (blocked.length === 0) return 'nothing is left on it that can move';
  const shown = blocked.slice(0, 5).map(({container, message}) => `${container}: ${message}`).join('; ');
  return `${blocked.length} left. ${shown}${blocked.length > 5 ? '; …' : ''}`;
}

function condition(type: string, holds: boolean, since: string, reason: string, message: string): Condition {
  return {type, status: holds ? 'true' : 'false', reason, message, since};
}
