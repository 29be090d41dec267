/** Tells the sidecar, each second, of the newest heartbeat that was answered: it guards by it what must never run twice. */
import type {Clock} from '@hivemind/controller';
import type {Lease} from '@hivemind/sidecar/client';

export interface LeaseTellerOptions {
  readonly cluster: string;
  /** As the fence takes it. */
  readonly engine: string;
  /** This process, by which the sidecar sees that it lives. */
  readonly agent: string;
  readonly session: {silentMs(): number; onRegistered(listener: () => void): () => void};
  readonly boottime: () => {readonly bootId: string; readonly ms: number};
  readonly renew: (lease: Lease) => Promise<void>;
  readonly clock: Clock;
}

const TELL_EVERY_MS = 1_000;

/** Answers how to stop. */
export function tellLease({cluster, engine, agent, session, boottime, renew, clock}: LeaseTellerOptions): () => void {
  let stopped = false;
  let cancel = (): void => undefined;
  const tell = (): void => {
    if (stopped) return;
    cancel();
    cancel = clock.setTimer(tell, TELL_EVERY_MS);
    // The clock is read first: what passes until the silence is read makes the lease older, never younger.
    const {bootId, ms} = boottime();
    const silentMs = session.silentMs();
    const heardAtMs = Number.isFinite(silentMs) ? Math.max(0, Math.floor(ms - silentMs)) : 0;
    // A sidecar that is away is started again, and told then.
    renew({cluster, engine, bootId, heardAtMs, agent}).catch(() => undefined);
  };
  // At once: what the new session lets start is not to be taken for what the old one should have stopped.
  const unlisten = session.onRegistered(tell);
  tell();
  return () => {
    stopped = true;
    unlisten();
    cancel();
  };
}
