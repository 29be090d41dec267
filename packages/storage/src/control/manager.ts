/** The storage manager: volumes, where their data is and who uses it. Nothing but a deletion by hand removes data. */
import {serve, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {CreateManager} from '@hivemind/service';
import {claimVolumes} from './claims.ts';
import {volumeRoutes} from './routes.ts';
import {openTables, whenReady} from './tables.ts';

export const createStorageManager: CreateManager = (context) => {
  const logger = context.logger.child({manager: 'storage'});
  const ending = new AbortController();
  const tables = openTables(context.store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed'));
  let subscription: Subscription | undefined;
  return {
    name: 'storage',
    routes: (app) => volumeRoutes(app, context, tables),
    async start() {
      subscription = await serve(context.bus, subjects.claimVolumes, {}, async ({claims}) => {
        await claimVolumes(context, claims);
        return {};
      }, {queue: 'storage'});
      await whenReady(tables);
    },
    async stop() {
      await subscription?.unsubscribe();
      ending.abort();
    },
  };
};
