/** What a node's report changes. Pure. */
import type {ContainerRecord, ContainerStatus, ContainerStatusRecord} from '@hivemind/contracts';
import type * as subjects from '@hivemind/contracts/subjects';
import type * as z from 'zod';

export type StatusReport = z.output<typeof subjects.reportStatus.request>;

export interface ReportInput {
  readonly node: string;
  readonly report: StatusReport;
  /** Records of the containers that the report names, and of all that are placed on the node. */
  readonly records: ReadonlyMap<string, ContainerRecord>;
  readonly statuses: ReadonlyMap<string, ContainerStatusRecord>;
  /** RFC 3339. */
  readonly now: string;
}

export interface ReportOutcome {
  readonly writes: readonly ContainerStatusRecord[];
  /** Ids that the node has no business with: placed elsewhere, or not (any more) in the store. */
  readonly refused: readonly string[];
}

/**
 * A report of changes is believed as it is: the node sends only what changed. Of a full one only what differs is written,
 * and what it does not name is gone: a container to be removed has been, another is lost. Where something newer is known, of
 * the same session, an older report changes nothing.
 */
export function acceptReport({node, report, records, statuses, now}: ReportInput): ReportOutcome {
  const {session, sequence, full, containers} = report;
  const writes: ContainerStatusRecord[] = [];
  const refused: string[] = [];
  const put = ({id, namespace, app}: ContainerRecord, status: ContainerStatus): void => {
    writes.push({id, namespace, app, node, session, ...(sequence === undefined ? {} : {sequence}), status, reportedAt: now});
  };
  const isOld = (id: string): boolean => {
    const known = statuses.get(id);
    return sequence !== undefined && known?.session === session && known.node === node && (known.sequence ?? 0) > sequence;
  };
  for (const {id, status} of containers) {
    const record = records.get(id);
    if (record?.node !== node) refused.push(id);
    else if (!isOld(id) && (!full || !isSame(statuses.get(id), node, status))) put(record, status);
  }
  if (full) {
    const named = new Set(containers.map(({id}) => id));
    for (const record of records.values()) {
      if (record.node !== node || named.has(record.id) || isOld(record.id)) continue;
      const before = statuses.get(record.id)?.status;
      if (record.removedAt !== undefined) {
        if (before?.phase !== 'removed') put(record, gone(before, 'removed', 'Removed', 'Its node does not have it (any more).'));
      } else if (before !== undefined && before.phase !== 'lost') {
        put(record, gone(before, 'lost', 'NotOnNode', 'Its node does not have it any more.'));
      }
    }
  }
  return {writes, refused};
}

function gone(before: ContainerStatus | undefined, phase: 'removed' | 'lost', reason: string, message: string): ContainerStatus {
  return {phase, ready: false, ports: [], restarts: before?.restarts ?? 0, reason, message, ...(before?.exitCode === undefined ? {} : {exitCode: before.exitCode})};
}

function isSame(stored: ContainerStatusRecord | undefined, node: string, status: ContainerStatus): boolean {
  return stored?.node === node && canonical(stored.status) === canonical(status);
}

/** Key order is the writer's; what it says does not depend on it. */
function canonical(status: ContainerStatus): string {
  return JSON.stringify(Object.entries(status).filter(([, value]) => value !== undefined).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
