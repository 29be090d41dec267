/** The node manager: who the machines are, what they have, and whether they are there. */
import {serve, type Subscription} from '@hivemind/bus';
import {type Clock, type Leader, runAsLeader} from '@hivemind/controller';
import {isError} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Manager, ManagerContext} from '@hivemind/service';
import {Join} from './join.ts';
import {joinRoutes} from './join-routes.ts';
import {Machines} from './machines.ts';
import {lifeRoutes} from './routes-life.ts';
import {nodeRoutes} from './routes.ts';
import {Ruler} from './ruler.ts';
import {createSessions} from './sessions.ts';
import {pacemaker} from './settings.ts';
import {openTables, whenReady} from './tables.ts';

export interface NodeManagerOptions {
  /** What silence is measured with; the machine's when absent. */
  readonly clock?: Clock;
}

export const createNodeManager = (host: ManagerContext, {clock}: NodeManagerOptions = {}): Manager => {
  const context = {...host, logger: host.logger.child({manager: 'node'})};
  const {bus, store, cluster, logger, instance} = context;
  const ending = new AbortController();
  const tables = openTables(store, ending.signal, (err) => {
    logger.warn({err}, 'the store could not be followed');
    if (isError(err, 'unavailable')) ruler.wasAway();
  });
  const sessions = createSessions({context, leases: tables.leases, tempo: pacemaker(tables)});
  const ruler = new Ruler({context, tables, ...(clock ? {clock} : {})});
  const machines = new Machines(context, tables);
  const join = new Join({context, tables});
  const subscriptions: Subscription[] = [];
  let leader: Leader | undefined;

  return {
    name: 'node',
    routes(app) {
      // Words before names: `settings` is no machine.
      joinRoutes({app, context, join});
      lifeRoutes({app, context, join, machines, tables});
      nodeRoutes({app, machines, tables});
    },
    async start() {
      const queue = {queue: 'node'};
      subscriptions.push(
        await serve(bus, subjects.registerNode, {}, async ({report, instance: agent}, {tokens: {node}}) => {
          await join.check(node);
          const {session, heartbeatMs} = await sessions.register(node, report);
          logger.info({node, session, instance: agent}, 'a node registered');
          return {cluster, session, heartbeatMs};
        }, queue),
        await serve(bus, subjects.heartbeat, {}, async ({session, report}, {tokens: {node}}) => ({heartbeatMs: await sessions.heartbeat(node, session, report)}), queue),
      );
      await Promise.all([whenReady(tables), join.start()]);
      ruler.follow();
      leader = runAsLeader({store, election: 'node', holder: instance, logger, onElected: (fence, signal) => ruler.lead(fence, signal)});
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      await Promise.all([leader?.stop(), join.stop()]);
      ending.abort();
    },
  };
};
