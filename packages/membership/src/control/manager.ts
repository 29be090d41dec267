/** Membership's control half: what the sidecars report of the ring becomes what counts, and one of the managers leads. */
import {emit, listen, type Subscription} from '@hivemind/bus';
import {leaderChanged, membershipReport, reportWhole} from '@hivemind/contracts';
import {type Leader, runAsLeader, systemClock} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {ELECTION, lead} from './lead.ts';
import {createLeaderView, type LeaderView} from './leader-view.ts';
import {Reports} from './reports.ts';
import {membershipRoutes} from './routes.ts';
import {openTables, type Tables, whenReady} from './tables.ts';

export const createMembershipManager: CreateManager = (context) => {
  const {bus, store, instance} = context;
  const logger = context.logger.child({manager: 'membership'});
  const monotonic = (): number => systemClock.monotonic();
  const ended = new AbortController();
  const reports = new Reports();
  const listeners = new Set<() => void>();
  const subscriptions: Subscription[] = [];
  let opened: {readonly tables: Tables; readonly view: LeaderView} | undefined;
  let leader: Leader | undefined;

  // Made at the first use: a manager that is only mounted reads nothing.
  const open = (): NonNullable<typeof opened> => {
    if (opened) return opened;
    const tables = openTables(store, ended.signal, (err) => logger.warn({err}, 'the store could not be followed'));
    return (opened = {tables, view: createLeaderView({store, tables, monotonic})});
  };
  const onReport = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  return {
    name: 'membership',
    routes: (app) => membershipRoutes(app, {tables: () => open().tables, leader: () => open().view, reports, monotonic}),
    async start() {
      const {tables, view} = open();
      subscriptions.push(
        // Every instance hears all: any of them may lead next, and each answers how the votes stand.
        await listen(bus, membershipReport, {}, async (report, {tokens: {node}}) => {
          const taken = reports.take(node, report, monotonic());
          if (taken === 'wanted') await emit(bus, reportWhole, {node}, {});
          if (taken === 'changed') for (const listener of listeners) listener();
        }),
        await listen(bus, leaderChanged, {}, (message) => view.heard(message)),
      );
      await whenReady(tables);
      leader = runAsLeader({store, election: ELECTION, holder: instance, logger, onElected: (fence, signal) => lead({context: {...context, logger}, tables, reports, monotonic, onReport}, fence, signal)});
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      await leader?.stop();
      ended.abort();
    },
  };
};
