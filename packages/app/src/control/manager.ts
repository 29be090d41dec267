/** The app manager: who should run what, and where. */
import type {Subscription} from '@hivemind/bus';
import {runAsLeader, type Clock, type Leader} from '@hivemind/controller';
import type {Manager, ManagerContext} from '@hivemind/service';
import {Adoption} from './adoption.ts';
import {AppWrites} from './app-writes.ts';
import {serveAssignments} from './assignments.ts';
import {lead} from './lead.ts';
import {serveReplace} from './replace.ts';
import {mountAppActionRoutes} from './routes/app-actions.ts';
import {mountAppObserveRoutes} from './routes/app-observe.ts';
import {mountAppRoutes} from './routes/apps.ts';
import {mountClusterRoutes} from './routes/cluster.ts';
import {mountConfigRoutes} from './routes/configs.ts';
import {ensureDefaultNamespace, mountNamespaceRoutes} from './routes/namespaces.ts';
import {clusterView, type ClusterView} from './view.ts';

export interface AppManagerOptions {
  /** What the silence of machines is measured with; the machine's when absent. */
  readonly clock?: Clock;
}

export const createAppManager = (context: ManagerContext, {clock}: AppManagerOptions = {}): Manager => {
  const ended = new AbortController();
  let following: ClusterView | undefined;
  // Made at the first use: a manager that is only mounted reads nothing.
  const view = (): ClusterView => (following ??= clusterView(context, ended.signal));
  const adoption = (): Adoption => new Adoption(context, view());
  let subscriptions: readonly Subscription[] = [];
  let leader: Leader | undefined;

  return {
    name: 'app',
    routes(app) {
      const routes = {app, context, view: view(), writes: new AppWrites(context, view())};
      mountAppRoutes(routes);
      mountAppActionRoutes(routes);
      mountAppObserveRoutes(routes);
      mountConfigRoutes(routes);
      mountNamespaceRoutes(routes);
      mountClusterRoutes(app, adoption());
    },
    async start() {
      await view().ready();
      await ensureDefaultNamespace(context);
      subscriptions = [...(await serveAssignments(context)), await serveReplace(context, view()), await adoption().serve()];
      leader = runAsLeader({store: context.store, election: 'app', holder: context.instance, logger: context.logger, onElected: (fence, signal) => lead(context, view(), fence, signal, clock)});
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      await leader?.stop();
      ended.abort();
    },
  };
};
