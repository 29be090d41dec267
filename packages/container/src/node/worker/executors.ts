/** Acts on the machine: one executor a step, each safe to repeat. What they learn goes into the entry's memory. */
import type {RegistryCredentials} from '@hivemind/contracts';
import {type ContainerRecord, isError} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Contribution, NodeHook, Runtime, Verdict} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type * as z from 'zod';
import {afterStart, afterStop, type Cause} from './core/memory.ts';
import type {Executors} from './core/steps.ts';
import {drain, type Rotation} from './drain.ts';
import type {Entry} from './entry.ts';
import {Gate} from './gate.ts';
import {Puller} from './puller.ts';
import {runtimeSpecOf, type Surroundings} from './runtime-spec.ts';

export interface ExecutorOptions {
  readonly runtime: Runtime;
  readonly hooks: readonly NodeHook[];
  readonly credentials: (record: ContainerRecord, signal: AbortSignal) => Promise<z.infer<typeof RegistryCredentials> | undefined>;
  readonly surroundings: (record: ContainerRecord) => Surroundings;
  /** Absent: nothing is waited for before a container is stopped. */
  readonly rotation: Rotation | undefined;
  readonly connections: (pid: number) => Promise<number>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onVerdict: (entry: Entry, verdict: Verdict) => void;
  readonly onProgress: (entry: Entry) => void;
  /** For people. */
  readonly onEvent: (entry: Entry, cause: Cause) => void;
  readonly onForgotten: (entry: Entry) => void;
  readonly onPulled: (image: string) => void;
}

/** Creates and starts at once; stops and pulls may take long and never wait in line. */
const PARALLEL = 32;
/** Preparing again before a mere restart may not take longer (ms): what the container needs is most likely still there. */
const PREPARE_AGAIN_MS = 2_000;

export function createExecutors(options: ExecutorOptions): Executors<Entry> {
  const {runtime, hooks, clock, logger} = options;
  const gate = new Gate(PARALLEL);
  const puller = new Puller(runtime);

  const prepare = async (entry: Entry, record: ContainerRecord, signal: AbortSignal): Promise<readonly Contribution[]> => {
    const contributions = await Promise.all(hooks.map((hook) => hook.prepare?.(record, signal)));
    entry.prepared = true;
    return contributions.filter((contribution) => contribution !== undefined);
  };

  return {
    async pull(entry, {image}, signal) {
      const record = known(entry);
      const watch = (progress: string): void => {
        entry.progress = progress;
        options.onProgress(entry);
      };
      await puller.pull(image, await options.credentials(record, signal), watch, signal);
      options.onPulled(image);
      entry.memory = {...entry.memory, pulled: true, imageMissing: false};
    },

    async create(entry, _step, signal) {
      const record = known(entry);
      const contributions = await prepare(entry, record, signal);
      signal.throwIfAborted();
      const spec = runtimeSpecOf(record, contributions, options.surroundings(record));
      try {
        const runtimeId = await gate.pass(() => runtime.create(spec));
        entry.observed = {runtimeId, id: entry.id, name: spec.name, labels: spec.labels, state: 'created', oomKilled: false, ports: []};
      } catch (error) {
        if (!isError(error, 'image-not-found') || record.template.pull.policy !== 'missing' || entry.memory.imageMissing) throw error;
        entry.memory = {...entry.memory, imageMissing: true};
      }
    },

    async start(entry, _step, signal) {
      const {observed} = entry;
      if (!observed) return;
      if (!entry.prepared) {
        // Made by an earlier agent: what was prepared for it may be gone with a reboot. Without the control plane it is
        // started with what is there (law 8).
        const limited = AbortSignal.any([signal, AbortSignal.timeout(PREPARE_AGAIN_MS)]);
        await prepare(entry, known(entry), limited).catch((error: unknown) => logger.warn({err: error, container: entry.id}, 'could not prepare again; starting with what is there'));
      }
      const started = await gate.pass(() => runtime.start(observed.runtimeId));
      entry.memory = afterStart(entry.memory);
      entry.outOfMemory = false;
      entry.observed = started ?? {...observed, state: 'running', startedAt: new Date(clock.now()).toISOString(), finishedAt: undefined, exitCode: undefined};
      // Its address and real ports, or that it has exited already, where only the engine's next answer says so.
      if (started === undefined) entry.stale = true;
    },

    async watch(entry) {
      const {observed} = entry;
      if (!observed) return;
      entry.memory = {...entry.memory, watched: true};
      for (const hook of hooks) hook.started?.(known(entry), observed, (verdict) => options.onVerdict(entry, verdict));
    },

    async drain(entry, {forMs}, signal) {
      const {id, observed} = entry;
      const {rotation} = options;
      if (rotation && observed) {
        // A list does not say it.
        const pid = observed.pid ?? (await runtime.inspect(id))?.pid;
        const vain = await drain(id, forMs, {rotation, clock, connections: async () => (pid === undefined ? 0 : options.connections(pid))}, signal);
        if (vain !== undefined) options.onEvent(entry, {reason: 'DrainTimeout', message: `stopped after a drain of ${forMs} ms: ${vain}`});
      }
      entry.memory = {...entry.memory, drained: true};
    },

    async stop(entry, {signal, graceMs}) {
      const {observed, record} = entry;
      if (!observed) return;
      entry.memory = {...entry.memory, watched: false};
      if (record) for (const hook of hooks) hook.stopped?.(record);
      await runtime.stop(observed.runtimeId, signal, graceMs);
      entry.memory = afterStop(entry.memory, new Date(clock.now()).toISOString());
      entry.observed = {...observed, state: 'exited', pid: undefined, ip: undefined, ports: []};
    },

    async remove(entry) {
      if (!entry.observed) return;
      await runtime.remove(entry.observed.runtimeId);
      entry.observed = undefined;
    },

    async forget(entry) {
      const {record} = entry;
      if (record) await Promise.all(hooks.map((hook) => hook.removed?.(record)));
      options.onForgotten(entry);
    },
  };
}

function known(entry: Entry): ContainerRecord {
  if (!entry.record) throw new TypeError(`a step on ${entry.id} before its record is known`);
  return entry.record;
}
