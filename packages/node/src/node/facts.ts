/** What this machine is and has: its own figures, or those of the control group that it lives in, whichever is less. */
import {statfs} from 'node:fs/promises';
import {arch, availableParallelism, hostname, networkInterfaces, platform, release, totalmem} from 'node:os';
import type {NodeReport} from '@hivemind/contracts';
import {cgroupLimits} from './cgroup.ts';
import {usageMeter} from './usage.ts';

export type MachineFacts = Pick<NodeReport, 'capacity' | 'labels' | 'address' | 'usage'>;

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
/** Of this process: use is counted between two looks of it. */
const usage = usageMeter();

/** Units as in NodeCapacity: millicores, bytes. */
export async function machineFacts({dataDir, address, labels, pods}: FactsOptions): Promise<MachineFacts> {
  const [limits, {blocks, bfree, bavail, bsize}, used] = await Promise.all([cgroupLimits(), statfs(dataDir), usage()]);
  return {
    capacity: {
      cpu: Math.min(availableParallelism() * 1000, limits.cpu),
      memory: Math.min(totalmem(), limits.memory),
      disk: blocks * bsize,
      diskFree: bavail * bsize,
      pods: pods ?? MOST_CONTAINERS,
    },
    labels: {
      'hivemind.io/os': platform(),
      'hivemind.io/arch': arch(),
      'hivemind.io/hostname': labelValue(hostname()),
      'hivemind.io/kernel': labelValue(release()),
      ...labels,
    },
    address: address ?? firstAddress(),
    usage: {...used, disk: (blocks - bfree) * bsize, at: new Date().toISOString()},
  };
}

/** A node's name from the machine's: a DNS label. */
export function defaultNodeName(): string {
  const name = (hostname().split('.')[0] ?? '').toLowerCase().replace(/[^a-z0-9-]/g, '-').replace(/^-+|-+$/g, '').slice(0, 63);
  return name === '' ? 'node' : name.replace(/-+$/, '');
}

function firstAddress(): string {
  const found = Object.values(networkInterfaces()).flat().find((network) => network?.family === 'IPv4' && !network.internal);
  return found?.address ?? '127.0.0.1';
}

function labelValue(text: string): string {
  return text.slice(0, 255);
}
