/** What containers take of the machine, from the engine's one-shot figures. */
import {setTimeout as pause} from 'node:timers/promises';
import type {ContainerStats} from '@hivemind/contracts';
import * as z from 'zod';
import type {Engine} from './engine.ts';

/** Time between two readings when there is no earlier one to compare with. */
const SAMPLE_MS = 200;
/** An older reading says little about now. */
const SAMPLE_AGE_MS = 60_000;

const counter = z.number().nullish().transform((value) => value ?? 0);
export const EngineStats = z.object({
  read: z.string(),
  cpu_stats: z.object({cpu_usage: z.object({total_usage: counter})}),
  memory_stats: z.object({usage: counter, limit: counter, stats: z.record(z.string(), z.number()).nullish()}),
  networks: z.record(z.string(), z.object({rx_bytes: counter, tx_bytes: counter})).nullish(),
  blkio_stats: z.object({io_service_bytes_recursive: z.array(z.object({op: z.string(), value: z.number()})).nullish()}).nullish(),
  pids_stats: z.object({current: counter}).nullish(),
});
export type EngineStats = z.infer<typeof EngineStats>;

interface Sample {
  /** ms since the epoch, by the engine's clock. */
  readonly at: number;
  /** Processor time used so far, ns. */
  readonly used: number;
}

export class StatsReader {
  readonly #engine: Engine;
  readonly #samples = new Map<string, Sample>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Undefined when it does not run (any more). */
  async read(id: string, runtimeId: string): Promise<ContainerStats | undefined> {
    let stats = await this.#ask(runtimeId);
    if (!stats) return undefined;
    let before = this.#samples.get(runtimeId);
    if (!before || Date.parse(stats.read) - before.at > SAMPLE_AGE_MS) {
      before = sampleOf(stats);
      await pause(SAMPLE_MS);
      stats = await this.#ask(runtimeId);
      if (!stats) return undefined;
    }
    const now = sampleOf(stats);
    // Two asks at once would divide by next to nothing: keep the earlier reading.
    if (now.at - before.at >= SAMPLE_MS / 2) this.#samples.set(runtimeId, now);
    return containerStats(id, stats, before);
  }

  forget(runtimeId: string): void {
    this.#samples.delete(runtimeId);
  }

  async #ask(runtimeId: string): Promise<EngineStats | undefined> {
    try {
      const stats = EngineStats.parse(await this.#engine.docker.getContainer(runtimeId).stats({stream: false, 'one-shot': true}));
      // Of one that is stopped the engine answers zeros, at the zero time.
      return stats.read.startsWith('0001-') ? undefined : stats;
    } catch {
      this.#samples.delete(runtimeId);
      return undefined;
    }
  }
}

function sampleOf(stats: EngineStats): Sample {
  return {at: Date.parse(stats.read), used: stats.cpu_stats.cpu_usage.total_usage};
}

/** @param before An earlier reading of the same container. */
export function containerStats(id: string, stats: EngineStats, before: Sample): ContainerStats {
  const {at, used} = sampleOf(stats);
  const elapsedMs = at - before.at;
  const networks = Object.values(stats.networks ?? {});
  const blocks = stats.blkio_stats?.io_service_bytes_recursive ?? [];
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const blockBytes = (op: string): number => sum(blocks.filter((entry) => entry.op.toLowerCase() === op).map(({value}) => value));
  return {
    id,
    time: new Date(at).toISOString(),
    // ns of processor a ms of time are millionths of a core.
    cpu: elapsedMs > 0 ? Math.max(0, (used - before.used) / elapsedMs / 1000) : 0,
    memory: usedMemory(stats.memory_stats),
    memoryLimit: stats.memory_stats.limit,
    networkIn: sum(networks.map(({rx_bytes}) => rx_bytes)),
    networkOut: sum(networks.map(({tx_bytes}) => tx_bytes)),
    blockRead: blockBytes('read'),
    blockWrite: blockBytes('write'),
    pids: stats.pids_stats?.current ?? 0,
  };
}

/** Without the file pages that the kernel would give back at once: `total_inactive_file` on cgroup v1, `inactive_file` on v2. */
function usedMemory({usage, stats}: EngineStats['memory_stats']): number {
  const reclaimable = stats?.total_inactive_file ?? stats?.inactive_file ?? 0;
  return reclaimable < usage ? usage - reclaimable : usage;
}
