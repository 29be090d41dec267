/** The node manager: who the machines are, what they have, and whether they are heard. */
import {serve, type Subscription} from '@hivemind/bus';
import {subjects} from '@hivemind/contracts';
import type {CreateManager} from '@hivemind/service';
import {nodeRoutes} from './routes.ts';
import {createSessions, HEARTBEAT_MS} from './sessions.ts';
import {openTables, whenReady} from './tables.ts';

export const createNodeManager: CreateManager = (context) => {
  const {bus, store, cluster} = context;
  const logger = context.logger.child({manager: 'node'});
  const ending = new AbortController();
  const tables = openTables(store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed'));
  const sessions = createSessions(context);
  const subscriptions: Subscription[] = [];

  return {
    name: 'node',
    routes: (app) => nodeRoutes(app, {context, tables}),
    async start() {
      const queue = {queue: 'node'};
      subscriptions.push(
        await serve(bus, subjects.registerNode, {}, async ({report, instance}, {tokens: {node}}) => {
          const session = await sessions.register(node, report);
          logger.info({node, session, instance}, 'a node registered');
          return {cluster, session, heartbeatMs: HEARTBEAT_MS};
        }, queue),
        await serve(bus, subjects.heartbeat, {}, async ({session, report}, {tokens: {node}}) => {
          await sessions.heartbeat(node, session, report);
          return {};
        }, queue),
      );
      await whenReady(tables);
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      ending.abort();
    },
  };
};
