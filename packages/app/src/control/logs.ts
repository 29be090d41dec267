/** The logs of all replicas of an app as one stream, read from the machines they run on. */
import {open} from '@hivemind/bus';
import {LogLine, type ContainerRecord, type LogOptions} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import type * as z from 'zod';
import {interleave, mergeByTime} from '../core/merge-lines.ts';
import {errors} from '../errors.ts';

/** Bytes of one line without its end; longer ones are broken. */
const MAX_LINE = 1024 * 1024;

type Source = AsyncIterable<z.infer<typeof LogLine>>;

/**
 * Lines of these containers: in order of time, or when following as they come. A machine that cannot be asked is left out,
 * unless all are. Ends when `signal` aborts.
 * @throws `unavailable` 503
 */
export async function appLogs({bus, logger}: Pick<ManagerContext, 'bus' | 'logger'>, containers: readonly ContainerRecord[], options: z.infer<typeof LogOptions>, signal: AbortSignal): Promise<Source> {
  const opened = await Promise.all(
    containers.map(async ({id, node}) => {
      try {
        return linesOf(await open(bus, subjects.streamLogs, {node}, {id, ...options}), signal);
      } catch (err) {
        logger.warn({err, container: id, node}, 'logs could not be opened');
        return undefined;
      }
    }),
  );
  const sources = opened.filter((source) => source !== undefined);
  if (sources.length === 0 && containers.length > 0) throw errors.unavailable('None of the machines that run it can be asked for its logs now.', {retryAfterMs: 2000});
  const tolerant = sources.map((source) => untilBroken(source, (err) => signal.aborted || logger.warn({err}, 'a log ended early')));
  return options.follow ? interleave(tolerant) : mergeByTime(tolerant);
}

type LogStream = Pick<Awaited<ReturnType<typeof open<typeof subjects.streamLogs.params, typeof subjects.streamLogs.controlOut, typeof subjects.streamLogs.controlIn, string>>>, 'readable' | 'destroy' | 'closed'>;

async function* linesOf(stream: LogStream, signal: AbortSignal): AsyncGenerator<z.infer<typeof LogLine>> {
  const end = (): void => stream.destroy();
  // Both ends may end it; that is no failure of anything.
  stream.closed.catch(() => undefined);
  signal.addEventListener('abort', end, {once: true});
  if (signal.aborted) end();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of stream.readable) {
      rest += decoder.decode(chunk, {stream: true});
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new TypeError('a log line is longer than a machine may send');
      for (const line of lines) if (line !== '') yield LogLine.parse(JSON.parse(line));
    }
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

/** One source that breaks off ends by itself, not all of them. */
async function* untilBroken<T>(source: AsyncIterable<T>, onBroken: (error: unknown) => void): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    onBroken(error);
  }
}
