/** What the nodes report, into the store: under a session that holds (law 7), in one transaction a report. */
import {isError, type ContainerRecord, type ContainerStatusRecord, type NodeLeaseRecord} from '@hivemind/contracts';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import {commit, type Stored} from '@hivemind/store';
import {acceptReport, type StatusReport} from '../core/report.ts';
import {containerErrors} from '../errors.ts';
import {containers, containerStatus, nodeLeases, type Tables} from './tables.ts';

/** The node may register anew while its report is written. */
const RACES = 3;

export class Reports {
  readonly #context: ManagerContext;
  readonly #tables: Tables;
  /** Reports of one node are written in the order in which they came. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(context: ManagerContext, tables: Tables) {
    this.#context = context;
    this.#tables = tables;
  }

  /** @throws `session-expired` 409 under an old session; the store's errors */
  accept(node: string, report: StatusReport): Promise<void> {
    const turn = (this.#queues.get(node) ?? Promise.resolve()).then(() => this.#write(node, report));
    const settled = turn.catch(() => undefined).then(() => {
      if (this.#queues.get(node) === settled) this.#queues.delete(node);
    });
    this.#queues.set(node, settled);
    return turn;
  }

  async #write(node: string, report: StatusReport): Promise<void> {
    const {store, logger, now} = this.#context;
    let lease = await this.#lease(node, report.session, this.#tables.leases.get(node));
    const outcome = acceptReport({node, report, now: new Date(now()).toISOString(), ...(await this.#known(node, report))});
    if (outcome.refused.length > 0) logger.debug({node, containers: outcome.refused}, 'a node reported containers that are not placed on it');
    const writes = outcome.writes.map((record) => {
      const previous = this.#tables.statuses.get(record.id);
      return containerStatus.putting(record.id, record, previous ? {previous} : {});
    });
    for (let race = 1; writes.length > 0; race++) {
      try {
        await commit(store, {compare: [nodeLeases.unchanged(lease)], writes});
        break;
      } catch (error) {
        if (!isError(error, 'version-mismatch') || race === RACES) throw error;
        lease = await this.#lease(node, report.session, undefined);
      }
    }
    for (const event of report.events) recordEvent(this.#context, {...event, node});
  }

  /** The node's lease, if it is of this session. What is cached may be older than a registration of just now. */
  async #lease(node: string, session: number, cached: Stored<NodeLeaseRecord> | undefined): Promise<Stored<NodeLeaseRecord>> {
    const lease = cached?.value.session === session ? cached : await nodeLeases.in(this.#context.store).get(node);
    if (lease?.value.session !== session) throw containerErrors['session-expired'](`Session ${session} of node ${node} is over: register again.`);
    return lease;
  }

  async #known(node: string, report: StatusReport): Promise<{readonly records: ReadonlyMap<string, ContainerRecord>; readonly statuses: ReadonlyMap<string, ContainerStatusRecord>}> {
    const records = new Map<string, ContainerRecord>();
    const statuses = new Map<string, ContainerStatusRecord>();
    const remember = (id: string, record: ContainerRecord | undefined): void => {
      if (record) records.set(id, record);
      const status = this.#tables.statuses.get(id)?.value;
      if (status) statuses.set(id, status);
    };
    for (const {id} of report.containers) remember(id, this.#tables.containers.get(id)?.value);
    if (report.full) for (const {key, value} of this.#tables.containers.byIndex('node', node)) remember(key, value);
    // Placed just now, and not yet in the cache.
    const missing = report.containers.filter(({id}) => !records.has(id)).map(({id}) => ({collection: containers.name, key: id}));
    const found = missing.length === 0 ? [] : await this.#context.store.getMany(missing);
    for (const record of found) if (record) remember(record.key, containers.decode(record).value);
    return {records, statuses};
  }
}
