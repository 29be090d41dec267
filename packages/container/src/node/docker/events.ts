/** The engine's events of one cluster's containers, for ever: the connection is made again when it breaks. */
import {setTimeout as pause} from 'node:timers/promises';
import {engineLabels} from '@hivemind/contracts';
import type {RuntimeEvent} from '@hivemind/runtime';
import type {Logger} from 'pino';
import {EngineEvent} from './answers.ts';
import {asking, type Engine} from './engine.ts';
import {jsonLines} from '../../core/json-lines.ts';

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1000;

export interface EventSource {
  readonly engine: Engine;
  readonly cluster: string;
  readonly logger: Logger;
  /** ms since the epoch. */
  now(): number;
}

/** Ends when `signal` is aborted. The first event is `connected` or, where no engine answers, `disconnected`. */
export async function* engineEvents(source: EventSource, signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
  const {engine, cluster, logger, now} = source;
  let wasConnected: boolean | undefined;
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let failure: unknown;
    try {
      // The engine answers before it listens to itself: `since` makes it repeat what happened in between.
      const query = {since: (now() / 1000).toFixed(3), filters: {type: ['container'], event: ['start', 'die', 'destroy', 'oom'], label: [`${engineLabels.cluster}=${cluster}`]}};
      const response = await asking(engine, 'Listening to the engine', () => engine.stream({method: 'GET', path: '/events', query, signal}));
      wasConnected = true;
      retryMs = FIRST_RETRY_MS;
      yield {type: 'connected'};
      for await (const line of jsonLines(response)) {
        const event = toRuntimeEvent(line);
        if (event) yield event;
      }
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) return;
    if (wasConnected !== false) {
      wasConnected = false;
      logger.warn({err: failure, engine: engine.address}, 'the connection to the container engine is lost');
      yield {type: 'disconnected'};
    }
    await pause(retryMs, undefined, {signal}).catch(() => undefined);
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  }
}

function toRuntimeEvent(line: unknown): RuntimeEvent | undefined {
  const parsed = EngineEvent.safeParse(line);
  if (!parsed.success) return undefined;
  const {Action, Actor, timeNano} = parsed.data;
  const id = Actor.Attributes[engineLabels.container];
  if (id === undefined) return undefined;
  const runtimeId = Actor.ID;
  switch (Action) {
    case 'start':
      return {type: 'started', id, runtimeId};
    case 'die':
      return {type: 'exited', id, runtimeId, exitCode: Number(Actor.Attributes.exitCode ?? 0), time: new Date(timeNano / 1e6).toISOString()};
    case 'destroy':
      return {type: 'removed', id, runtimeId};
    case 'oom':
      return {type: 'oom', id, runtimeId};
    default:
      return undefined;
  }
}
