/** The app manager: who should run what, and where. */
import type {Subscription} from '@hivemind/bus';
import {runAsLeader, type Leader} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {AppWrites} from './app-writes.ts';
import {serveAssignments} from './assignments.ts';
import {lead} from './lead.ts';
import {mountAppActionRoutes} from './routes/app-actions.ts';
import {mountAppRoutes} from './routes/apps.ts';
import {clusterView, type ClusterView} from './view.ts';

export const createAppManager: CreateManager = (context) => {
  const ended = new AbortController();
  let following: ClusterView | undefined;
  // Made at the first use: a manager that is only mounted reads nothing.
  const view = (): ClusterView => (following ??= clusterView(context, ended.signal));
  let subscriptions: readonly Subscription[] = [];
  let leader: Leader | undefined;

  return {
    name: 'app',
    routes(app) {
      const routes = {app, context, view: view(), writes: new AppWrites(context, view())};
      mountAppRoutes(routes);
      mountAppActionRoutes(routes);
    },
    async start() {
      await view().ready();
      subscriptions = await serveAssignments(context);
      leader = runAsLeader({store: context.store, election: 'app', holder: context.instance, logger: context.logger, onElected: (fence, signal) => lead(context, view(), fence, signal)});
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      await leader?.stop();
      ended.abort();
    },
  };
};
