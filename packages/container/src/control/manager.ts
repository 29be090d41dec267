/** The container manager: what the nodes report of their containers, and what people may ask of each. */
import {serve, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {CreateManager} from '@hivemind/service';
import {Gauge} from 'prom-client';
import {Reports} from './reports.ts';
import {containerRoutes} from './routes/containers.ts';
import {execRoute} from './routes/exec.ts';
import {imageRoutes} from './routes/images.ts';
import {logRoute} from './routes/logs.ts';
import {sweepStatuses} from './sweep.ts';
import {openTables, type Tables} from './tables.ts';

export const createContainerManager: CreateManager = (host) => {
  const context = {...host, logger: host.logger.child({manager: 'container'})};
  const {bus, store, logger, metrics} = context;
  const ending = new AbortController();
  let opened: Tables | undefined;
  // At the first use: a manager that is only mounted reads nothing.
  const tables = (): Tables => (opened ??= openTables(store, ending.signal, (err) => logger.warn({err}, 'a record could not be followed')));
  let sweep: ReturnType<typeof sweepStatuses> | undefined;
  let subscription: Subscription | undefined;

  return {
    name: 'container',
    async routes(app) {
      const routes = {app, context, tables: tables()};
      containerRoutes(routes);
      logRoute(routes);
      await execRoute(routes);
      await imageRoutes(routes);
    },
    async start() {
      await tables().ready();
      gaugeOf(metrics, tables());
      const reports = new Reports(context, tables());
      sweep = sweepStatuses(context, tables());
      sweep.start();
      subscription = await serve(bus, subjects.reportStatus, {}, async (report, {tokens: {node}}) => {
        await reports.accept(node, report);
        return {};
      }, {queue: 'container'});
    },
    async stop() {
      await subscription?.unsubscribe();
      await sweep?.stop();
      ending.abort();
    },
  };
};

function gaugeOf(metrics: Parameters<CreateManager>[0]['metrics'], {statuses}: Tables): void {
  new Gauge({
    name: 'hivemind_containers',
    help: 'Containers by phase, as their nodes report them.',
    labelNames: ['phase'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const {value} of statuses.list()) this.inc({phase: value.status.phase});
    },
  });
}
