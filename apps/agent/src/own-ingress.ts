/** On a machine that is in no ring, and so has no sidecar, the agent keeps HAProxy itself: it runs on without it, as containers do. */
import {join} from 'node:path';
import type {Clock} from '@hivemind/controller';
import type {IngressTarget} from '@hivemind/discovery/node';
import {PLAN_FILE} from '@hivemind/discovery/ingress';
import {IngressKeeper} from '@hivemind/sidecar/ingress';
import type {Logger} from 'pino';

export interface OwnIngress extends IngressTarget {
  /** HAProxy runs on. */
  stop(): Promise<void>;
}

/** @param dataDir absolute */
export function keepIngress({dataDir, clock, logger}: {readonly dataDir: string; readonly clock: Clock; readonly logger: Logger}): OwnIngress {
  const keeper = new IngressKeeper({
    file: join(dataDir, PLAN_FILE), dir: join(dataDir, 'sidecar', 'ingress'), logger: logger.child({part: 'ingress'}),
    setTimer: (callback, ms) => clock.setTimer(callback, ms), now: () => clock.monotonic(),
  });
  // HAProxy may take seconds, or hang: containers do not wait for it.
  void keeper.start();
  return {applyIngress: () => keeper.apply(), stop: () => keeper.stop()};
}
