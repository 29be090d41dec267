/** One sidecar in the foreground: from its flags to the exit status. */
import {existsSync} from 'node:fs';
import {isError} from '@hivemind/contracts/define-errors';
import {pino} from 'pino';
import {blamedFlag, flagErrors, type FlagValues, readFlags} from './flags.ts';
import {addressText} from './report.ts';
import {type Sidecar, startSidecar} from './sidecar.ts';

export interface RunOptions {
  readonly values: FlagValues;
  /** Absolute. */
  readonly dataDir: string;
  readonly cwd: string;
  /** Of the log; default info. */
  readonly level: string | undefined;
  readonly print: (text: string) => void;
}

/** Of the log: more is not kept for when there is room again. */
const UNWRITTEN_BYTES = 262_144;

/**
 * Until a signal, or until it is told to leave the ring. The log goes to stderr as JSON lines.
 * @throws `wrong-usage` for flags and the files they name; what `startSidecar` throws
 */
export async function runSidecar({values, dataDir, cwd, level = 'info', print}: RunOptions): Promise<void> {
  const {bus, ...options} = readFlags(values, {dataDir, cwd});
  // Not at once: a disk that hangs would hold the ring up.
  const destination = pino.destination({dest: 2, sync: false, maxLength: UNWRITTEN_BYTES});
  // What cannot be written, on a full disk, is lost; the fence goes on.
  let stuck = false;
  destination.on('error', () => (stuck = true)).on('write', () => (stuck = false));
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const logger = pino({level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime}, destination);
  const asked = signalled();
  const sidecar = await started(() => startSidecar({...options, logger, ...(bus === undefined ? {} : {connectBus: async () => (await import('./connect-bus.ts')).connectBus(bus, options.name, logger)})}));
  const metrics = sidecar.metrics === undefined ? '' : `, metrics http://${sidecar.metrics}/metrics`;
  print(`Member ${options.name} listens at ${addressText(sidecar.address)}, socket ${sidecar.socket}${metrics}\n`);
  const orphaned = orphanedAt(sidecar.socket);
  await Promise.race([asked, sidecar.left, orphaned.promise]);
  orphaned.stop();
  await sidecar.stop();
  if (stuck) destination.destroy();
  else destination.flushSync();
}

async function started(start: () => Promise<Sidecar>): Promise<Sidecar> {
  try {
    return await start();
  } catch (error) {
    const flag = isError(error) ? blamedFlag(error) : undefined;
    throw flag === undefined || !isError(error) ? error : flagErrors['wrong-usage'](`--${flag}: ${error.message}`, {cause: error});
  }
}

/** How often to look whether the socket is still there, ms. */
const LOOK_EVERY_MS = 5_000;

/** Resolves when the socket's file is gone, with the machine's data dir: nobody can reach this process any more, so it ends. */
function orphanedAt(socket: string): {readonly promise: Promise<void>; stop(): void} {
  const {promise, resolve} = Promise.withResolvers<void>();
  const timer = setInterval(() => void (existsSync(socket) || resolve()), LOOK_EVERY_MS);
  return {promise, stop: () => clearInterval(timer)};
}

/** Resolves at the first signal to stop. At the second, nothing is waited for any more. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (): void => {
      if (count++ === 0) resolve();
      else process.exit(1);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
