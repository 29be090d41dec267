/** What the nodes report, into the store: under a session that holds (law 7), in one transaction a report. */
import {isError, type ContainerRecord, type ContainerStatusRecord, type NodeLeaseRecord} from '@hivemind/contracts';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import {commit, type Compare, type Stored, type Write} from '@hivemind/store';
import {acceptReport, type StatusReport} from '../core/report.ts';
import {containerErrors} from '../errors.ts';
import {containers, containerStatus, nodeLeases, type Tables} from './tables.ts';

/** The node may register anew while its report is written, and another instance of this manager may write for it. */
const RACES = 4;
const CATCH_UP_MS = 1_000;

export class Reports {
  readonly #context: ManagerContext;
  readonly #tables: Tables;
  /** Reports of one node are written in the order in which they came. */
  readonly #queues = new Map<string, Promise<void>>();
  /** The `n` of the newest write of this instance. */
  #written = 0;

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
    const {store} = this.#context;
    let lease = await this.#lease(node, report.session, this.#tables.leases.get(node));
    await this.#catchUp(this.#written);
    for (let race = 1; ; race++) {
      const {compare, writes} = await this.#draft(node, report);
      try {
        if (writes.length > 0) this.#written = (await commit(store, {compare: [nodeLeases.unchanged(lease), ...compare], writes})).n;
        break;
      } catch (error) {
        const lost = isError(error, 'version-mismatch') || isError(error, 'already-exists');
        if (!lost || race === RACES) throw error;
        lease = await this.#lease(node, report.session, undefined);
        await this.#catchUp((await store.revision()).n);
      }
    }
    for (const event of report.events) recordEvent(this.#context, {...event, node});
  }

  /** What the report changes, given that the statuses are as they are known here: the commit compares them, so that an older report never undoes one that another instance has written. */
  async #draft(node: string, report: StatusReport): Promise<{readonly compare: readonly Compare[]; readonly writes: readonly Write[]}> {
    const {logger, now} = this.#context;
    const outcome = acceptReport({node, report, now: new Date(now()).toISOString(), ...(await this.#known(node, report))});
    if (outcome.refused.length > 0) logger.debug({node, containers: outcome.refused}, 'a node reported containers that are not placed on it');
    const pairs = outcome.writes.map((record) => {
      const previous = this.#tables.statuses.get(record.id);
      return {compare: previous ? containerStatus.unchanged(previous) : containerStatus.absent(record.id), write: containerStatus.putting(record.id, record, previous ? {previous} : {})};
    });
    return {compare: pairs.map(({compare}) => compare), writes: pairs.map(({write}) => write)};
  }

  /** Waits a moment for the cache to hold what was written up to `n`. */
  async #catchUp(n: number): Promise<void> {
    await this.#tables.statuses.waitForRevision(n, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined);
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
