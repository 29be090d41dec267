/** The security manager: secrets, and whether an app may be as it asks. */
import type {Subscription} from '@hivemind/bus';
import type {CreateManager} from '@hivemind/service';
import {serveSecurity} from './answers.ts';
import {secretRoutes} from './routes.ts';
import {Vault} from './vault.ts';

export const createSecurityManager: CreateManager = (context) => {
  const vault = new Vault(context);
  const logger = context.logger.child({manager: 'security'});
  let subscriptions: readonly Subscription[] = [];
  return {
    name: 'security',
    routes: (app) => secretRoutes(app, context, vault),
    async start() {
      subscriptions = await serveSecurity({...context, logger}, vault);
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
      subscriptions = [];
    },
  };
};
