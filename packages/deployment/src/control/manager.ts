/**
 * The deployment manager: how an app goes from one revision to the next. It decides how many containers of each revision
 * there should be (`rollouts`); the app manager makes it so.
 */
import * as subjects from '@hivemind/contracts/subjects';
import {serve, type Subscription} from '@hivemind/bus';
import {createController, runAsLeader, type Controller, type Leader} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {chooseStrategy} from '../core/strategy.ts';
import {createReconciler} from './reconciler.ts';
import {deploymentRoutes} from './routes.ts';
import {arePortsShared, onAppChange, openTables, whenReady} from './tables.ts';

/** A look at every app, as a net under lost wake-ups, ms. */
const resyncMs = 60_000;
/** Reports of containers are gathered for so long (ms): of thirty that start at once, each would be a write of the rollout. */
const reportsMs = 50;

export const createDeploymentManager: CreateManager = (context) => {
  const logger = context.logger.child({manager: 'deployment'});
  const ending = new AbortController();
  const tables = openTables(context.store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed'));
  let leader: Leader | undefined;
  let subscription: Subscription | undefined;
  const fence = () => leader?.fence();
  const reconcile = createReconciler({context: {...context, logger}, tables, fence, wakeAt: (key, timeMs) => controller.wakeAt(key, timeMs)});
  const controller: Controller = createController({
    name: 'deployment',
    reconcile,
    logger,
    random: context.random,
    coalesceMs: 0,
    keys: () => tables.apps.list().map((app) => app.key),
    resyncMs,
  });
  const forget = onAppChange(tables, (key) => controller.wake(key), (key) => controller.wakeAt(key, context.now() + reportsMs));

  return {
    name: 'deployment',
    routes: (app) => deploymentRoutes(app, {context, tables, fence}),
    async start() {
      subscription = await serve(
        context.bus,
        subjects.explainStrategy,
        {},
        async ({spec}) => {
          const {name, because} = chooseStrategy(spec, arePortsShared(tables));
          return {strategy: name, ...(because === undefined ? {} : {because})};
        },
        {queue: 'deployment'},
      );
      await whenReady(tables);
      leader = runAsLeader({
        store: context.store,
        election: 'deployment',
        holder: context.instance,
        logger,
        onElected: async (_fence, signal) => {
          controller.start();
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), {once: true}));
          await controller.stop();
        },
      });
    },
    async stop() {
      await subscription?.unsubscribe();
      await leader?.stop();
      forget();
      ending.abort();
    },
  };
};
