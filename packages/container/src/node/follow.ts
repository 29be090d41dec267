/** A container's log across its restarts: the engine's own "follow" ends with the process. */
import {setTimeout as pause} from 'node:timers/promises';
import {engineLabels, EngineOrigin, type LogLine, type LogOptions} from '@hivemind/contracts';
import type {Runtime, RuntimeContainer} from '@hivemind/runtime';
import type * as z from 'zod';

/** How often it is looked whether a container that ended runs again. Only while somebody follows it. */
const LOOK_MS = 500;

/** @param id Our id. Ends when the container is gone, or will not be started again. */
export async function* followLogs(runtime: Runtime, id: string, runtimeId: string, options: z.infer<typeof LogOptions>, signal: AbortSignal): AsyncGenerator<Pick<LogLine, 'time' | 'stream' | 'line'>> {
  let from = options;
  while (true) {
    for await (const line of runtime.logs(runtimeId, from, signal)) {
      from = {...options, tail: undefined, since: justAfter(line.time)};
      yield line;
    }
    if (!options.follow || !(await runsAgain(runtime, id, signal))) return;
  }
}

async function runsAgain(runtime: Runtime, id: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const container = await runtime.inspect(id);
    if (container === undefined) return false;
    if (container.state === 'running') return true;
    if (!isRestarted(container)) return false;
    await pause(LOOK_MS, undefined, {signal}).catch(() => undefined);
  }
  return false;
}

/** As far as its label tells, the worker will start it again. */
function isRestarted({labels, exitCode}: RuntimeContainer): boolean {
  const origin = EngineOrigin.safeParse(parse(labels[engineLabels.origin]));
  if (!origin.success) return false;
  const {mode, template} = origin.data.container;
  const {policy} = template.restart;
  if (policy === 'never') return false;
  return exitCode !== 0 || (policy === 'always' && mode !== 'job');
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}

/** `since` includes its own moment. */
function justAfter(time: string): string {
  const [, seconds = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  const next = Number(fraction.padEnd(9, '0')) + 1;
  return next < 1e9 ? `${seconds}.${String(next).padStart(9, '0')}Z` : time;
}
