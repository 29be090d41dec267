/**
 * One reads what was written, whoever wrote it: an answer holds all that was acknowledged before it was asked for. Managers
 * answer from caches that follow the store; where others write it too, each request first waits until they have come as far as
 * the store was when it arrived. All caches of a process stand at one revision, so one of them tells for all.
 */
import {collections} from '@hivemind/contracts';
import {collection, informer, type Store} from '@hivemind/store';
import type {HttpServer} from './http.ts';

/** ms after which an answer from what there is beats none. */
const MOST_MS = 1_000;

/** For every request to `app` that is not `open`. `signal` ends it. */
export function answerFresh(app: HttpServer, {store, signal}: {readonly store: Store; readonly signal: AbortSignal}): void {
  const follower = informer({store, signal, collection: collection(collections.clusterIdentity)});
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open === true) return;
    try {
      const {n} = await store.revision();
      await follower.waitForRevision(n, AbortSignal.any([signal, AbortSignal.timeout(MOST_MS)]));
    } catch {
      // The store is away, or slow: what the caches hold is answered, and writes say so themselves.
    }
  });
}
