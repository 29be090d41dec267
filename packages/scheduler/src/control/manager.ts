/** The scheduler: answers where containers can go, and why not elsewhere. It writes nothing: the app manager commits. */
import {serve, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {CreateManager} from '@hivemind/service';
import {place} from '../core/place.ts';
import {mountRoutes} from './routes.ts';
import {clusterView} from './view.ts';

export const createSchedulerManager: CreateManager = (context) => {
  const ended = new AbortController();
  let view: ReturnType<typeof clusterView> | undefined;
  let served: Subscription | undefined;
  // Made at the first use: a manager that is only mounted reads nothing.
  const cluster = (): ReturnType<typeof clusterView> => (view ??= clusterView(context, ended.signal));

  return {
    name: 'scheduler',
    routes: (app) => mountRoutes(app, cluster),
    async start() {
      await cluster().ready();
      served = await serve(
        context.bus,
        subjects.place,
        {},
        async ({requests, ignore, onEmpty, atLeast}, {signal}) => {
          await cluster().waitFor(atLeast, signal);
          const {placements, refusals, passedOver} = place(requests, cluster().nodes(), {ignore, onEmpty, random: () => context.random(), sharedPorts: cluster().sharedPorts()});
          const nodes = new Set(placements.map(({node}) => node));
          return {
            placements: placements.map(({ports, ...placed}) => ({...placed, ports: [...ports]})),
            refusals: refusals.map(({id, nodes: refused}) => ({id, nodes: [...refused]})),
            ...(passedOver.length > 0 ? {passedOver: [...passedOver]} : {}),
            allocationVersions: Object.fromEntries([...nodes].map((node) => [node, cluster().allocationVersion(node)])),
          };
        },
        {queue: 'scheduler'},
      );
    },
    async stop() {
      await served?.unsubscribe();
      ended.abort();
    },
  };
};
