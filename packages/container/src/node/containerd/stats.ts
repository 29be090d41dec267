/** What containers take of the machine, from the files of their control groups. */
import {readFile} from 'node:fs/promises';
import {totalmem} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {ContainerStats} from '@hivemind/contracts';
import {cgroupDir, type CgroupVersion, cgroupVersion} from './machine.ts';

/** Time between two readings when there is no earlier one to compare with. */
const SAMPLE_MS = 200;
/** An older reading says little about now. */
const SAMPLE_AGE_MS = 60_000;

interface Reading {
  /** ms since the epoch. */
  readonly at: number;
  /** Processor time used so far, microseconds. */
  readonly used: number;
  readonly memory: number;
  readonly memoryLimit: number;
  readonly pids: number;
  readonly blockRead: number;
  readonly blockWrite: number;
}

export class StatsReader {
  readonly #samples = new Map<string, Pick<Reading, 'at' | 'used'>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Undefined when it does not run (any more). @param cgroup path of its control group @param pid of its main process */
  async read(id: string, cgroup: string, pid: number): Promise<ContainerStats | undefined> {
    let reading = await this.#read(cgroup);
    if (!reading) return undefined;
    let before = this.#samples.get(cgroup);
    if (!before || reading.at - before.at > SAMPLE_AGE_MS) {
      before = reading;
      await pause(SAMPLE_MS);
      reading = await this.#read(cgroup);
      if (!reading) return undefined;
    }
    const {at, used, memory, memoryLimit, pids, blockRead, blockWrite} = reading;
    // Two asks at once would divide by next to nothing: keep the earlier reading.
    if (at - before.at >= SAMPLE_MS / 2) this.#samples.set(cgroup, {at, used});
    const elapsed = at - before.at;
    // Microseconds of processor a ms of time are thousandths of a core.
    return {id, time: new Date(at).toISOString(), cpu: elapsed > 0 ? Math.max(0, (used - before.used) / elapsed) : 0, memory, memoryLimit, ...(await networkOf(pid)), blockRead, blockWrite, pids};
  }

  forget(cgroup: string): void {
    this.#samples.delete(cgroup);
  }

  async #read(cgroup: string): Promise<Reading | undefined> {
    try {
      const at = this.#now();
      return {at, ...(await figuresOf(cgroupVersion(), (controller, name) => readFile(join(cgroupDir(cgroup, controller), name), 'utf8')))};
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
      this.#samples.delete(cgroup);
      return undefined;
    }
  }
}

type Figures = Omit<Reading, 'at'>;
/** A file of a control group. The controller says nothing under v2. */
type ReadText = (controller: string, name: string) => Promise<string>;

/** @throws what `text` throws for a file that each group has */
export function figuresOf(version: CgroupVersion, text: ReadText): Promise<Figures> {
  return version === 2 ? unifiedFigures((name) => text('', name)) : oldFigures(text);
}

async function oldFigures(text: ReadText): Promise<Figures> {
  const [usage, limit, memory, cpu, pids, blocks] = await Promise.all([
    text('memory', 'memory.usage_in_bytes'), text('memory', 'memory.limit_in_bytes'), text('memory', 'memory.stat'),
    text('cpuacct', 'cpuacct.usage'), text('pids', 'pids.current').catch(() => '0'), text('blkio', 'blkio.throttle.io_service_bytes_recursive').catch(() => ''),
  ]);
  const block = (operation: string): number => sum(blocks.split('\n').filter((line) => line.split(' ')[1] === operation).map((line) => Number(line.split(' ')[2])));
  return {
    used: Number(cpu) / 1000,
    // Without the file pages that the kernel would give back at once.
    memory: withoutCache(Number(usage), entryOf(memory, 'total_inactive_file')),
    memoryLimit: Math.min(Number(limit), totalmem()),
    pids: Number(pids),
    blockRead: block('Read'),
    blockWrite: block('Write'),
  };
}

async function unifiedFigures(text: (name: string) => Promise<string>): Promise<Figures> {
  const [usage, limit, memory, cpu, pids, blocks] = await Promise.all([text('memory.current'), text('memory.max'), text('memory.stat'), text('cpu.stat'), text('pids.current').catch(() => '0'), text('io.stat').catch(() => '')]);
  const block = (name: string): number => sum([...blocks.matchAll(new RegExp(`${name}=(\\d+)`, 'g'))].map(([, bytes]) => Number(bytes)));
  return {
    used: entryOf(cpu, 'usage_usec'),
    memory: withoutCache(Number(usage), entryOf(memory, 'inactive_file')),
    memoryLimit: limit.trim() === 'max' ? totalmem() : Math.min(Number(limit), totalmem()),
    pids: Number(pids),
    blockRead: block('rbytes'),
    blockWrite: block('wbytes'),
  };
}

function withoutCache(usage: number, reclaimable: number): number {
  return reclaimable < usage ? usage - reclaimable : usage;
}

function entryOf(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

/** All devices but the loopback one, as its main process sees them. */
async function networkOf(pid: number): Promise<{readonly networkIn: number; readonly networkOut: number}> {
  const text = await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '');
  const devices = text.split('\n').slice(2).map((line) => line.trim().split(/[:\s]+/)).filter(([name]) => name !== '' && name !== 'lo');
  return {networkIn: sum(devices.map((fields) => Number(fields[1] ?? 0))), networkOut: sum(devices.map((fields) => Number(fields[9] ?? 0)))};
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
