/** containerd's events of one cluster's containers, for ever: the stream is begun again when it breaks. */
import {randomUUID} from 'node:crypto';
import {setTimeout as pause} from 'node:timers/promises';
import type {RuntimeEvent} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type {ContainerdClient} from './api/client.ts';
import {type Any, ContainerDelete, TaskExit, TaskOom, TaskStart} from './api/messages.ts';
import {fromTimestamp} from './core/time.ts';

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1000;
/** containerd listens to itself at once; a word that is lost is said again. */
const SAY_AGAIN_MS = 50;
const LISTENING = '/hivemind/listening';

export interface EventSource {
  readonly client: ContainerdClient;
  readonly namespace: string;
  readonly logger: Logger;
  /** Called before `connected`. */
  readonly onConnected: () => Promise<void>;
  /** Our id by containerd's; undefined: it is another cluster's, or nobody's. */
  readonly idOf: (runtimeId: string) => Promise<string | undefined>;
}

/** Ends when `signal` is aborted. The first event is `connected` or, where no containerd answers, `disconnected`. */
export async function* containerdEvents(source: EventSource, signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
  const {client, logger, namespace} = source;
  let wasConnected: boolean | undefined;
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let failure: unknown;
    const over = new AbortController();
    try {
      const token = randomUUID();
      const filter = `namespace==${namespace},topic~="^/(tasks/(start|exit|oom)|containers/delete|hivemind/listening)$"`;
      const heard = client.stream('subscribe', {filters: [filter]}, AbortSignal.any([signal, over.signal]));
      const saying = new AbortController();
      // containerd does not say when it has begun to listen: what we say ourselves comes back then.
      void sayUntilHeard(client, token, AbortSignal.any([signal, over.signal, saying.signal]));
      for await (const {topic, event} of heard) {
        if (topic === LISTENING) {
          if (saying.signal.aborted || Buffer.from(event?.value ?? []).toString() !== token) continue;
          saying.abort();
          await source.onConnected();
          wasConnected = true;
          retryMs = FIRST_RETRY_MS;
          yield {type: 'connected'};
        } else if (saying.signal.aborted && event) {
          const told = await toRuntimeEvent(source, topic, event);
          if (told) yield told;
        }
      }
    } catch (error) {
      failure = error;
    } finally {
      over.abort();
    }
    if (signal.aborted) return;
    if (wasConnected !== false) {
      wasConnected = false;
      logger.warn({err: failure, containerd: client.socketPath}, 'the connection to containerd is lost');
      yield {type: 'disconnected'};
    }
    await pause(retryMs, undefined, {signal}).catch(() => undefined);
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  }
}

async function sayUntilHeard(client: ContainerdClient, token: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // The stream tells what is wrong, if something is.
    await client.call('publish', {topic: LISTENING, event: {typeUrl: 'hivemind/listening', value: Buffer.from(token)}}, {deadlineMs: 1000, signal}).catch(() => undefined);
    await pause(SAY_AGAIN_MS, undefined, {signal}).catch(() => undefined);
  }
}

async function toRuntimeEvent({idOf}: EventSource, topic: string, {value}: Any): Promise<RuntimeEvent | undefined> {
  switch (topic) {
    case '/tasks/start': {
      const {containerId: runtimeId} = TaskStart.decode(value);
      const id = await idOf(runtimeId);
      return id === undefined ? undefined : {type: 'started', id, runtimeId};
    }
    case '/tasks/exit': {
      const {containerId: runtimeId, id: process, exitStatus: exitCode, exitedAt} = TaskExit.decode(value);
      // A command that was run in it.
      if (process !== runtimeId) return undefined;
      const id = await idOf(runtimeId);
      return id === undefined ? undefined : {type: 'exited', id, runtimeId, exitCode, time: fromTimestamp(exitedAt) ?? ''};
    }
    case '/tasks/oom': {
      const {containerId: runtimeId} = TaskOom.decode(value);
      const id = await idOf(runtimeId);
      return id === undefined ? undefined : {type: 'oom', id, runtimeId};
    }
    case '/containers/delete': {
      const {id: runtimeId} = ContainerDelete.decode(value);
      const id = await idOf(runtimeId);
      return id === undefined ? undefined : {type: 'removed', id, runtimeId};
    }
    default:
      return undefined;
  }
}
