/** The network manager: which addresses the containers of each machine have, and what machines know of each other. */
import {serve, type Subscription} from '@hivemind/bus';
import {getNetwork, getPolicies} from '@hivemind/contracts';
import {type Leader, runAsLeader} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {askedBackend, beginNetwork} from './begin.ts';
import {lead} from './lead.ts';
import {Policies} from './policies.ts';
import {policyRoutes} from './policy-routes.ts';
import {PolicyViews, tellPolicies} from './policy-views.ts';
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
  const policyViews = new PolicyViews(tables);
  let subscriptions: Subscription[] = [];
  let leader: Leader | undefined;
  return {
    name: 'network',
    routes(app) {
      networkRoutes(app, {bus, tables, settings: new Settings(context, tables, bus)});
      policyRoutes(app, new Policies(context, tables), tables);
    },
    async start() {
      const asked = askedBackend(context.network?.backend, process.env);
      await whenReady(tables);
      await beginNetwork(context, tables, asked);
      // Not before: a machine that is told of no network, since nothing is known yet, would take its own down.
      subscriptions = [
        await serve(bus, getNetwork, {}, (told, {tokens: {node}}) => views.of(node, told), {queue: 'network'}),
        await serve(bus, getPolicies, {}, async ({after}) => policyViews.page(after), {queue: 'network'}),
      ];
      leader = runAsLeader({store, election: 'network', holder: instance, logger, onElected: (fence, signal) => Promise.all([lead({context, tables, views}, fence, signal), tellPolicies({context, tables, views: policyViews}, signal)]).then(() => undefined)});
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      await leader?.stop();
      ending.abort();
    },
  };
};
