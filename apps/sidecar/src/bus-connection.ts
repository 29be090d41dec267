/** Comes to the bus whenever it is there: the first connection is sought until found, later ones the driver finds again. */
import type {Bus} from '@hivemind/bus';
import type {Logger} from 'pino';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

export interface BusConnectionOptions {
  /** Rejects while it is away. */
  readonly connect: () => Promise<Bus>;
  /** Called once, with the connection. Answers how to end what was begun on it. */
  readonly onBus: (bus: Bus) => Promise<{stop(): Promise<void>}>;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface BusConnection {
  /** `away` before the first connection, and while it is lost. */
  state(): 'connected' | 'away';
  stop(): Promise<void>;
}

export function seekBus(options: BusConnectionOptions): BusConnection {
  const {connect, onBus, setTimer, logger} = options;
  let state: 'connected' | 'away' = 'away';
  let stopped = false;
  let cancel = (): void => undefined;
  let stop = async (): Promise<void> => undefined;

  const found = async (bus: Bus): Promise<void> => {
    const unfollow = bus.onStatus((status) => {
      state = status === 'connected' ? 'connected' : 'away';
      logger[status === 'connected' ? 'info' : 'warn']({}, `the bus is ${status === 'connected' ? 'back' : 'away; membership goes on without'}`);
    });
    stop = async () => {
      unfollow();
      await bus.close();
    };
    state = 'connected';
    const link = await onBus(bus);
    // Stopped meanwhile: the connection is closed by now.
    if (stopped) return link.stop();
    stop = async () => {
      unfollow();
      await link.stop();
      await bus.close();
    };
  };
  const seek = async (failures: number): Promise<void> => {
    try {
      const bus = await connect();
      await (stopped ? bus.close() : found(bus));
    } catch (err) {
      await stop().catch(() => undefined);
      stop = async () => undefined;
      state = 'away';
      if (stopped) return;
      if (failures === 0) logger.warn({err}, 'the bus is away; membership goes on without');
      cancel = setTimer(() => void seek(failures + 1), Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10)));
    }
  };
  void seek(0);
  return {
    state: () => state,
    async stop() {
      stopped = true;
      cancel();
      // Not for a connection that is being made: it closes itself when it is there.
      await stop();
    },
  };
}
