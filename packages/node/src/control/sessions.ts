/**
 * Sessions of the machines: each registration gives a number that is higher than all before, bound to a lease of the
 * store. Who speaks under an older number is refused (law 7), who is not heard for
 * the lease's length loses it.
 */
import {isError, type NodeLeaseRecord, type NodeRecord, type NodeReport} from '@hivemind/contracts';
import {type ManagerContext, recordEvent} from '@hivemind/service';
import {commit, type Stored} from '@hivemind/store';
import {intervalOf, type Tempo} from '../core/tempo.ts';
import {takenText} from '../core/present.ts';
import {nodeErrors} from '../errors.ts';
import {nodeLeases, nodes, nodeStatus, type Tables} from './tables.ts';

const RACES = 8;
/** Routes beside /nodes/{name}. */
const reserved: ReadonlySet<string> = new Set(['authority', 'join', 'join-tokens', 'settings', 'brake']);
/** A lease that is longer or shorter than it should be by this factor is replaced. */
const LEASE_SLACK = 1.5;

export interface Session {
  readonly session: number;
  /** ms until the agent should be heard next. */
  readonly heartbeatMs: number;
}

export interface Sessions {
  register(name: string, report: NodeReport): Promise<Session>;
  /** Costs the store one keep-alive, and no revision where there is no report. @returns ms until the next. @throws `session-expired` */
  heartbeat(name: string, session: number, report: NodeReport | undefined): Promise<number>;
}

export interface SessionOptions {
  readonly context: Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'>;
  readonly leases: Pick<Tables['leases'], 'get'>;
  readonly tempo: () => Tempo;
}

export function createSessions({context, leases, tempo}: SessionOptions): Sessions {
  const {store, now, uid} = context;
  const time = (): string => new Date(now()).toISOString();

  const newNode = (name: string, report: NodeReport): NodeRecord => {
    const at = time();
    return {name, labels: report.labels, annotations: {}, spec: {unschedulable: false, taints: [], address: report.address}, meta: {uid: uid(), generation: 1, createdAt: at, updatedAt: at}};
  };

  const attempt = async (name: string, report: NodeReport): Promise<Session> => {
    const {leaseMs, heartbeatMs} = tempo();
    const [node, status, former, lease] = await Promise.all([nodes.in(store).get(name), nodeStatus.in(store).get(name), nodeLeases.in(store).get(name), store.grantLease(leaseMs)]);
    const session = Math.max(status?.value.session ?? 0, former?.value.session ?? 0) + 1;
    const record = node ? refreshed(node.value, report, time()) : newNode(name, report);
    const compare = [
      node ? nodes.unchanged(node) : nodes.absent(name),
      status ? nodeStatus.unchanged(status) : nodeStatus.absent(name),
    ];
    const writes = [
      ...(record === node?.value ? [] : [nodes.putting(name, record, {previous: node})]),
      nodeStatus.putting(name, {name, report, session, lastSeenAt: time()}, {previous: status}),
      nodeLeases.putting(name, {name, session, lease: lease.id, ttlMs: leaseMs}, {lease: lease.id}),
    ];
    try {
      await commit(store, {compare, writes});
    } catch (error) {
      await store.revokeLease(lease.id).catch(() => undefined);
      throw error;
    }
    // Its record is bound to the new lease by now; the old one ends by itself where this fails.
    if (former) await store.revokeLease(former.value.lease).catch(() => undefined);
    return {session, heartbeatMs};
  };

  /** Published ports that a process of the machine has since the last report. */
  const tellTaken = (name: string, before: NodeReport | undefined, {hostPorts}: NodeReport): void => {
    const had = new Set(before?.hostPorts?.taken.map(({port, protocol}) => `${protocol}/${port}`));
    const fresh = hostPorts?.taken.filter(({port, protocol}) => !had.has(`${protocol}/${port}`)) ?? [];
    if (fresh.length > 0) recordEvent(context, {namespace: 'default', kind: 'Node', name, type: 'warning', reason: 'PortTaken', message: takenText(fresh), node: name});
  };

  /** The same session under a lease of another length. */
  const relet = async (lease: Stored<NodeLeaseRecord>, ttlMs: number): Promise<void> => {
    const {name, session, lease: former} = lease.value;
    const {id} = await store.grantLease(ttlMs);
    const result = await store.transact({compare: [nodeLeases.unchanged(lease)], writes: [nodeLeases.putting(name, {name, session, lease: id, ttlMs}, {lease: id})]});
    await store.revokeLease(result.ok ? former : id).catch(() => undefined);
  };

  /** What is cached may be older than a registration of just now. */
  const leaseOf = async (name: string, session: number): Promise<Stored<NodeLeaseRecord>> => {
    const cached = leases.get(name);
    const lease = cached?.value.session === session ? cached : await nodeLeases.in(store).get(name);
    if (lease?.value.session !== session) throw expired(name, session);
    return lease;
  };

  return {
    async register(name, report) {
      if (reserved.has(name)) throw nodeErrors['node-conflict'](`No machine can be called ${name}: it is a route of /nodes.`);
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
      const {leaseMs} = tempo();
      const lease = await leaseOf(name, session);
      const {ttlMs = leaseMs} = lease.value;
      await store.keepAlive(lease.value.lease).catch((error: unknown) => {
        throw isError(error, 'lease-expired') ? expired(name, session) : error;
      });
      const fits = ttlMs <= leaseMs * LEASE_SLACK && leaseMs <= ttlMs * LEASE_SLACK;
      if (!fits) await relet(lease, leaseMs);
      if (report) {
        let before: NodeReport | undefined;
        await nodeStatus.in(store).update(name, (status) => {
          before = status?.report;
          return status?.session === session ? {...status, report, lastSeenAt: time()} : status;
        });
        tellTaken(name, before, report);
        await nodes.in(store).update(name, (node) => node && refreshed(node, report, time()));
      }
      return intervalOf(Math.min(leaseMs, ttlMs));
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
