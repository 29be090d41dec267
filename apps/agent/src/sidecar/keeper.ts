/**
 * Keeps the machine's sidecar running: one that runs already is adopted, one of another release or with other settings is
 * replaced, one that ends is started again, the later the more often it fails.
 */
import {isError} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Description, SidecarClient, WatchReply} from '@hivemind/sidecar/client';
import type {Logger} from 'pino';
import type {StartedProgram} from './program.ts';
import {isAsWanted, type SidecarSettings} from './settings.ts';

export interface KeeperOptions {
  readonly settings: SidecarSettings;
  readonly client: Pick<SidecarClient, 'describe' | 'leave' | 'watch'>;
  readonly launch: (settings: SidecarSettings) => Promise<StartedProgram>;
  readonly onReply: (reply: WatchReply) => void;
  /** It does not answer any more. */
  readonly onLost: () => void;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface Keeper {
  /** The sidecar runs on. */
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** One that lived so long was well. */
const HEALTHY_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** To listen after its start, and to end after its farewell. */
const WITHIN_MS = 20_000;

export function keepSidecar(options: KeeperOptions): Keeper {
  const ending = new AbortController();
  const done = keep(options, ending.signal);
  return {
    async stop() {
      ending.abort();
      await done;
    },
  };
}

async function keep(options: KeeperOptions, signal: AbortSignal): Promise<void> {
  const {clock, logger, onLost} = options;
  for (let failures = 0; !signal.aborted;) {
    const since = clock.monotonic();
    try {
      await comeBy(options, signal);
      await follow(options, signal);
      if (!signal.aborted) logger.warn({}, 'the sidecar ended; it is started again');
    } catch (err) {
      if (!signal.aborted) logger.warn({err}, 'there is no sidecar; it is tried again');
    }
    if (signal.aborted) return;
    onLost();
    failures = clock.monotonic() - since >= HEALTHY_AFTER_MS ? 0 : failures + 1;
    await pause(clock, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20)), signal);
  }
}

/** Resolves when the sidecar that is wanted answers. */
async function comeBy({settings, client, launch, clock, logger}: KeeperOptions, signal: AbortSignal): Promise<void> {
  const found = await describe(client);
  if (found !== undefined && found !== 'other' && isAsWanted(found, settings)) {
    logger.info({pid: found.pid}, 'the sidecar runs already');
    return;
  }
  if (found !== undefined) {
    logger.info({found}, 'a sidecar of another release, or with other settings, is replaced');
    await client.leave();
    await until(clock, signal, async () => (await describe(client)) === undefined, 'the earlier sidecar does not end');
  }
  const {pid, ended} = await launch(settings);
  let end: string | undefined;
  void ended.then((reason) => (end = reason));
  // Also where the agent ends meanwhile: who ends the sidecar of a machine that was removed has to find it.
  await until(clock, undefined, async () => {
    if (end !== undefined) throw new Error(`the sidecar could not be started, ${end}: see ${settings.dataDir}/sidecar/sidecar.log`);
    return (await describe(client)) !== undefined;
  }, 'the sidecar does not answer');
  logger.info({pid}, 'the sidecar is started');
}

/** Resolves when it does not answer any more. */
async function follow({client, onReply, clock}: KeeperOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const reply of client.watch(signal)) onReply(reply);
    } catch (error) {
      if (isError(error, 'sidecar-absent')) return;
      // Let go for reading too slowly, or membership is being started again: it is there.
      if ((await describe(client)) === undefined) return;
    }
    await pause(clock, LOOK_EVERY_MS, signal);
    if (!signal.aborted && (await describe(client)) === undefined) return;
  }
}

/** undefined: none answers. `other`: one that does not know the question. */
async function describe(client: KeeperOptions['client']): Promise<Description | 'other' | undefined> {
  try {
    return await client.describe();
  } catch (error) {
    if (!isError(error, 'sidecar-absent')) throw error;
    return /UNIMPLEMENTED|method definition/.test(String(error.cause ?? '')) ? 'other' : undefined;
  }
}

async function until(clock: Clock, signal: AbortSignal | undefined, condition: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = clock.monotonic() + WITHIN_MS;
  while (!(await condition())) {
    if (signal?.aborted === true) return;
    if (clock.monotonic() >= deadline) throw new Error(otherwise);
    await pause(clock, LOOK_EVERY_MS, signal);
  }
}

function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(done, ms);
    signal?.addEventListener('abort', done, {once: true});
    if (signal?.aborted === true) done();
  });
}
