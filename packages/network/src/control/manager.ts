/** The network manager: which addresses the containers of each machine have, and what machines know of each other. */
import {serve, type Subscription} from '@hivemind/bus';
import {getNetwork} from '@hivemind/contracts';
import {type Leader, runAsLeader} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {lead} from './lead.ts';
import {networkRoutes} from './routes.ts';
import {Settings} from './settings.ts';
import {openTables, whenReady} from './tables.ts';
import {Views} from './views.ts';

export const createNetworkManager: CreateManager = (host) => {
  const context = {...host, logger: host.logger.child({manager: 'network'})};
  const {bus, store, logger, instance} = context;
  const ending = new AbortController();
  const tables = openTables(store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed'));
  const views = new Views(context, tables);
  let subscription: Subscription | undefined;
  let leader: Leader | undefined;
  return {
    name: 'network',
    routes: (app) => networkRoutes(app, {bus, tables, settings: new Settings(context, tables)}),
    async start() {
      subscription = await serve(bus, getNetwork, {}, ({holds}, {tokens: {node}}) => views.of(node, holds), {queue: 'network'});
      await whenReady(tables);
      leader = runAsLeader({store, election: 'network', holder: instance, logger, onElected: (fence, signal) => lead({context, tables, views}, fence, signal)});
    },
    async stop() {
      await subscription?.unsubscribe();
      await leader?.stop();
      ending.abort();
    },
  };
};
