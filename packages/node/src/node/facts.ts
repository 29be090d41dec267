/** What this machine is and has: its own figures, or those of the control group that it lives in, whichever is less. */
import {readFile, statfs} from 'node:fs/promises';
import {arch, availableParallelism, hostname, networkInterfaces, platform, release, totalmem} from 'node:os';
import type {NodeReport} from '@hivemind/contracts';

export type MachineFacts = Pick<NodeReport, 'capacity' | 'labels' | 'address'>;

export interface FactsOptions {
  /** Whose file system is the machine's disk. */
  readonly dataDir: string;
  /** Where published ports are reached; the first address that is not loopback when absent. */
  readonly address?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Most containers of the machine. */
  readonly pods?: number;
}

const MOST_CONTAINERS = 500;
const CGROUP = '/sys/fs/cgroup';

/** Units as in NodeCapacity: millicores, bytes. */
export async function machineFacts({dataDir, address, labels, pods}: FactsOptions): Promise<MachineFacts> {
  const [cpu, memory, disk] = await Promise.all([cpuLimit(), memoryLimit(), diskOf(dataDir)]);
  return {
    capacity: {cpu: Math.min(availableParallelism() * 1000, cpu), memory: Math.min(totalmem(), memory), ...disk, pods: pods ?? MOST_CONTAINERS},
    labels: {
      'hivemind.io/os': platform(),
      'hivemind.io/arch': arch(),
      'hivemind.io/hostname': labelValue(hostname()),
      'hivemind.io/kernel': labelValue(release()),
      ...labels,
    },
    address: address ?? firstAddress(),
  };
}

/** A node's name from the machine's: a DNS label. */
export function defaultNodeName(): string {
  const name = (hostname().split('.')[0] ?? '').toLowerCase().replace(/[^a-z0-9-]/g, '-').replace(/^-+|-+$/g, '').slice(0, 63);
  return name === '' ? 'node' : name.replace(/-+$/, '');
}

async function cpuLimit(): Promise<number> {
  const [quota, period] = (await readOrEmpty(`${CGROUP}/cpu.max`)).trim().split(' ').map(Number);
  return quota && period && quota > 0 ? Math.ceil((quota / period) * 1000) : Number.POSITIVE_INFINITY;
}

async function memoryLimit(): Promise<number> {
  const text = (await readOrEmpty(`${CGROUP}/memory.max`)) || (await readOrEmpty(`${CGROUP}/memory/memory.limit_in_bytes`));
  const bytes = Number(text.trim());
  return Number.isFinite(bytes) && bytes > 0 ? bytes : Number.POSITIVE_INFINITY;
}

async function diskOf(dataDir: string): Promise<{readonly disk: number; readonly diskFree: number}> {
  const {blocks, bavail, bsize} = await statfs(dataDir);
  return {disk: blocks * bsize, diskFree: bavail * bsize};
}

function firstAddress(): string {
  const found = Object.values(networkInterfaces()).flat().find((network) => network?.family === 'IPv4' && !network.internal);
  return found?.address ?? '127.0.0.1';
}

function labelValue(text: string): string {
  return text.slice(0, 255);
}

async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
