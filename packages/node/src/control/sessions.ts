/**
 * Sessions of the machines: each registration gives a number that is higher than all before, bound to a lease of the
 * store. Who speaks under an older number is refused (law 7), who is not heard for the lease's length is unreachable.
 */
import {isError, type NodeRecord, type NodeReport} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {commit} from '@hivemind/store';
import {nodeErrors} from '../errors.ts';
import {nodeLeases, nodes, nodeStatus} from './tables.ts';

/** A node that is not heard for so long is unreachable. */
export const LEASE_MS = 15_000;
export const HEARTBEAT_MS = 5_000;
const RACES = 8;

export interface Sessions {
  /** @returns the new session's number */
  register(name: string, report: NodeReport): Promise<number>;
  /** @throws `session-expired` */
  heartbeat(name: string, session: number, report: NodeReport | undefined): Promise<void>;
}

export function createSessions({store, now, uid}: Pick<ManagerContext, 'store' | 'now' | 'uid'>): Sessions {
  const time = (): string => new Date(now()).toISOString();

  const newNode = (name: string, report: NodeReport): NodeRecord => {
    const at = time();
    return {name, labels: report.labels, annotations: {}, spec: {unschedulable: false, taints: [], address: report.address}, meta: {uid: uid(), generation: 1, createdAt: at, updatedAt: at}};
  };

  const attempt = async (name: string, report: NodeReport): Promise<number> => {
    const [node, status, former, lease] = await Promise.all([nodes.in(store).get(name), nodeStatus.in(store).get(name), nodeLeases.in(store).get(name), store.grantLease(LEASE_MS)]);
    const session = Math.max(status?.value.session ?? 0, former?.value.session ?? 0) + 1;
    const record = node ? refreshed(node.value, report, time()) : newNode(name, report);
    const compare = [
      node ? nodes.unchanged(node) : nodes.absent(name),
      status ? nodeStatus.unchanged(status) : nodeStatus.absent(name),
    ];
    const writes = [
      ...(record === node?.value ? [] : [nodes.putting(name, record, {previous: node})]),
      nodeStatus.putting(name, {name, report, session, lastSeenAt: time()}, {previous: status}),
      nodeLeases.putting(name, {name, session, lease: lease.id}, {lease: lease.id}),
    ];
    try {
      await commit(store, {compare, writes});
    } catch (error) {
      await store.revokeLease(lease.id).catch(() => undefined);
      throw error;
    }
    // Its record is bound to the new lease by now; the old one ends by itself where this fails.
    if (former) await store.revokeLease(former.value.lease).catch(() => undefined);
    return session;
  };

  return {
    async register(name, report) {
      for (let race = 1; ; race++) {
        try {
          return await attempt(name, report);
        } catch (error) {
          const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
          if (!lost) throw error;
          if (race === RACES) throw nodeErrors['node-conflict'](`The node ${name} is registered by several at once.`, {cause: error});
        }
      }
    },

    async heartbeat(name, session, report) {
      const lease = await nodeLeases.in(store).get(name);
      if (lease?.value.session !== session) throw expired(name, session);
      await store.keepAlive(lease.value.lease).catch((error: unknown) => {
        throw isError(error, 'lease-expired') ? expired(name, session) : error;
      });
      if (!report) return;
      await nodeStatus.in(store).update(name, (status) => (status?.session === session ? {...status, report, lastSeenAt: time()} : status));
      await nodes.in(store).update(name, (node) => node && refreshed(node, report, time()));
    },
  };
}

function expired(name: string, session: number): Error {
  return nodeErrors['session-expired'](`Session ${session} of node ${name} is over: register again.`);
}

/** Facts of the machine replace earlier facts; labels that people gave it stay. The same record when nothing changed. */
function refreshed(node: NodeRecord, report: NodeReport, at: string): NodeRecord {
  const given = Object.entries(node.labels).filter(([key]) => !key.startsWith('hivemind.io/'));
  const labels = {...report.labels, ...Object.fromEntries(given)};
  const addressSame = node.spec.address === report.address;
  if (addressSame && sameLabels(labels, node.labels)) return node;
  const generation = node.meta.generation + (addressSame ? 0 : 1);
  return {...node, labels, spec: {...node.spec, address: report.address}, meta: {...node.meta, generation, updatedAt: at}};
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
