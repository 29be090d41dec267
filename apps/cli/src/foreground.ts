/** What runs until it is told to stop: its log, and the signals that tell it. */
import * as z from 'zod';

const LogLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'HIVEMIND_LOG_LEVEL is not a level: use trace, debug, info, warn, error, fatal or silent');

/** Of the log: more is not kept for when there is room again. */
const UNWRITTEN_BYTES = 1_048_576;

/** For people on a terminal the log goes to a file; a supervisor gets it on stderr, as JSON lines. */
export async function openLog(file?: string) {
  const {default: pino} = await import('pino');
  const level = LogLevel.parse(process.env.HIVEMIND_LOG_LEVEL || 'info');
  const destination = pino.destination({dest: file ?? 2, sync: file === undefined, mkdir: true, append: true, mode: 0o600, maxLength: UNWRITTEN_BYTES});
  // What cannot be written, on a full disk, is lost; what runs goes on, and ends when it is told to.
  let stuck = false;
  destination.on('error', () => (stuck = true)).on('write', () => (stuck = false));
  // Not as for a command whose reader has what it wanted, and is gone.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => undefined);
  return {logger: pino({level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime}, destination), flush: () => (stuck ? destination.destroy() : destination.flushSync())};
}

/** Resolves at the first signal to stop. At the second, nothing is waited for any more. */
export function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (): void => {
      if (count++ === 0) resolve();
      else process.exit(1);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
