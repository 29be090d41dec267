/** Discovery's control half: every app is a service; who is behind it is written down, and told to every machine. */
import {listen, serve, type Subscription} from '@hivemind/bus';
import {getNames, namesApplied} from '@hivemind/contracts';
import {type Controller, createController, type Leader, runAsLeader, systemClock} from '@hivemind/controller';
import type {CreateManager} from '@hivemind/service';
import {discoveryErrors} from '../errors.ts';
import {Feed} from './feed.ts';
import {createIngressPart} from './ingress-part.ts';
import {Reconciler} from './reconciler.ts';
import {serviceRoutes} from './routes.ts';
import {onServiceChange, openTables, type Tables} from './tables.ts';
import {tellMachines} from './teller.ts';

/** A look at every service, as a net under lost wake-ups, ms. */
const RESYNC_MS = 60_000;
/** ms that a machine which knows more than this instance waits for it to catch up. */
const CATCH_UP_MS = 1_000;

export const createDiscoveryManager: CreateManager = (context) => {
  const {bus, store, instance, random} = context;
  const logger = context.logger.child({manager: 'discovery'});
  const ending = new AbortController();
  let opened: Tables | undefined;
  let feed: Feed | undefined;
  let controller: Controller | undefined;
  let leader: Leader | undefined;
  let subscription: Subscription | undefined;
  let forget = (): void => undefined;

  // Made at the first use: a manager that is only mounted reads nothing.
  const tables = (): Tables => (opened ??= openTables(store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed')));
  const held = (): boolean => tables().adoption.get('adoption')?.value.held === true;

  const ingress = createIngressPart({...context, logger}, tables, held);
  let answering: Subscription | undefined;

  return {
    name: 'discovery',
    routes(app) {
      serviceRoutes(app, context, tables);
      ingress.routes(app);
    },
    async start() {
      const followed = tables();
      await followed.ready();
      const told = (feed = new Feed(followed));
      const reconciler = new Reconciler({context: {...context, logger}, tables: followed, fence: () => leader?.fence()});
      const loop = (controller = createController({
        name: 'discovery', logger, random,
        reconcile: (key, signal) => reconciler.reconcile(key, signal),
        keys: () => new Set([...followed.apps.list(), ...followed.services.list()].map(({key}) => key)),
        resyncMs: RESYNC_MS,
      }));
      forget = onServiceChange(followed, (key) => loop.wake(key));
      subscription = await serve(bus, getNames, {}, async ({known, after}) => {
        if (held()) throw discoveryErrors['names-held']('The store was lost or rewound and is not adopted (hivemind cluster adopt): machines keep the names that they have.', {retryAfterMs: 5_000});
        if (known?.epoch === told.at.epoch && known.n > told.at.n) await followed.services.waitForRevision(known.n, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined);
        return told.answer(known, after);
      }, {queue: 'discovery'});
      answering = await ingress.serve();
      leader = runAsLeader({
        store, logger, election: 'discovery', holder: instance,
        onElected: async (fence, signal) => {
          // What the one before gave is seen before anything is given.
          await followed.services.waitForRevision((await store.revision()).n, signal);
          const isReady = (node: string): boolean => followed.nodes.get(node) !== undefined && (followed.verdicts.get(node)?.value.state ?? 'ready') === 'ready';
          const telling = tellMachines({bus, feed: told, held, by: `${instance} ${fence.revision}`, isReady, clock: systemClock, logger});
          const hearing = await listen(bus, namesApplied, {}, (word, {tokens: {node}}) => telling.heard(node, word)).catch((err: unknown) => {
            telling.stop();
            throw err;
          });
          const stopLooking = [followed.verdicts.onChange(() => telling.look()), followed.nodes.onChange(() => telling.look())];
          const stopTellingOfIngresses = ingress.lead();
          loop.start();
          await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), {once: true})));
          telling.stop();
          for (const stop of stopLooking) stop();
          await hearing.unsubscribe();
          stopTellingOfIngresses();
          await loop.stop();
        },
      });
    },
    async stop() {
      await subscription?.unsubscribe();
      await answering?.unsubscribe();
      await leader?.stop();
      forget();
      feed?.stop();
      await controller?.stop();
      ending.abort();
    },
  };
};
