/** What only the leader does: it says that it leads, and writes what counts of the reports. */
import {emit} from '@hivemind/bus';
import {type LeaderRecord, leaderChanged, meetMembers} from '@hivemind/contracts';
import {createController} from '@hivemind/controller';
import type {ManagerContext} from '@hivemind/service';
import {commit, type Fence} from '@hivemind/store';
import type {Reports} from './reports.ts';
import {electorate, leaderRecords, members, type Tables} from './tables.ts';
import {changesOf, heardFromMost, introductions, tally} from './tally.ts';

/** One election for the cluster's leader. */
export const ELECTION = 'leader';
export const LEADER_KEY = 'leader';
/** Without a renewal for so long (ms), nobody is known to lead. Said in gossip too, so it is not said often. */
export const LEADER_LEASE_MS = 30_000;
const RENEW_EVERY_MS = 10_000;
/** Silent sidecars lose their say, and the long dead are forgotten, at the latest so much later (ms). */
const RESYNC_MS = 10_000;
/** Members written at once. */
const PER_TRANSACTION = 500;

export interface Leading {
  readonly context: Pick<ManagerContext, 'store' | 'bus' | 'now' | 'uid' | 'random' | 'instance' | 'logger'>;
  readonly tables: Tables;
  readonly reports: Reports;
  /** Monotonic ms. */
  readonly monotonic: () => number;
  /** Hears of each report that changed something; answers how to stop. */
  readonly onReport: (listener: () => void) => () => void;
}

/** Leads until `signal` aborts. */
export async function lead(leading: Leading, fence: Fence, signal: AbortSignal): Promise<void> {
  const {context, tables, onReport} = leading;
  const record = await takeSeat(leading, fence);
  const controller = createController({
    name: 'membership',
    logger: context.logger,
    random: () => context.random(),
    reconcile: () => count(leading, fence),
    keys: () => ['members'],
    resyncMs: RESYNC_MS,
  });
  const wake = (): void => controller.wake('members');
  const stops = [onReport(wake), tables.leases.onChange(wake), tables.nodes.onChange(wake)];
  controller.start();
  await renew(leading, record, signal);
  for (const stop of stops) stop();
  await controller.stop();
}

async function takeSeat({context}: Leading, fence: Fence): Promise<LeaderRecord> {
  const {epoch} = await context.store.revision();
  const record = {name: context.instance, since: new Date(context.now()).toISOString(), revision: {epoch, n: fence.revision}};
  await leaderRecords.in(context.store).put(LEADER_KEY, record, {fence});
  return record;
}

/** Says who leads, again and again, until `signal` aborts. */
async function renew({context}: Leading, record: LeaderRecord, signal: AbortSignal): Promise<void> {
  for (let renewal = 0; !signal.aborted; renewal++) {
    await emit(context.bus, leaderChanged, {}, {...record, renewal, leaseMs: LEADER_LEASE_MS}).catch((err: unknown) => context.logger.warn({err}, 'the bus could not be told who leads'));
    await pause(RENEW_EVERY_MS, signal);
  }
}

/** Makes the records say what the reports amount to, and machines that do not know each other meet. */
async function count({context, tables, reports, monotonic}: Leading, fence: Fence): Promise<void> {
  const voters = electorate(tables);
  if (voters.machines) reports.keepOnly(voters.ready);
  const views = reports.fresh(monotonic());
  const standings = tally(views, voters, (name) => tables.members.get(name)?.value.state);
  const records = new Map(tables.members.list().map(({key, value}) => [key, value]));
  const {put, remove} = changesOf({records, standings, complete: heardFromMost(views, voters), now: context.now(), uid: () => context.uid()});
  const writes = [
    ...put.map((record) => members.putting(record.name, record, {previous: tables.members.get(record.name)})),
    ...remove.map((name) => members.deleting(name)),
  ];
  for (let from = 0; from < writes.length; from += PER_TRANSACTION) {
    const {n} = await commit(context.store, {writes: writes.slice(from, from + PER_TRANSACTION), fence});
    // The next count starts from what this one wrote.
    await tables.members.waitForRevision(n);
  }
  for (const {name, state} of put) {
    if (records.get(name)?.state !== state) context.logger.info({member: name, state, votes: standings.get(name)?.votes}, 'a member changed');
  }
  for (const [node, addresses] of introductions(views, standings)) {
    await emit(context.bus, meetMembers, {node}, {addresses: [...addresses]}).catch((err: unknown) => context.logger.debug({err, node}, 'a machine could not be told of others; it is when the ring is counted next'));
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done, {once: true});
  });
}
