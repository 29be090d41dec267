/** What Hivemind takes of a machine's memory: the agent and its sidecar together. */
import {readFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import type {TestCluster} from '../../apps/agent/test/cluster.ts';
import {median, type Row} from '../measure.ts';
import {sleeperOf} from './deploy.ts';

const CONTAINERS = 30;
const SAMPLES = 5;
const EVERY_MS = 4_000;

/** Of one machine with 30 containers, in MB of 10^6 bytes. */
export async function benchMemory(cluster: TestCluster): Promise<readonly Row[]> {
  const [machine, ...others] = cluster.members;
  if (!machine) throw new TypeError('a cluster has machines');
  for (const {name} of others) await cluster.api.ask('POST', `/nodes/${name}/cordon`);
  try {
    await cluster.deploy('memory', sleeperOf(cluster.image, CONTAINERS));
    await cluster.untilRunning('memory', CONTAINERS, 60_000);
    const pids = (): readonly number[] => [machine.agent.pid, ...machine.sidecarPids()];
    if (pids().length !== 2 || pids().includes(0)) throw new Error(`an agent and a sidecar are measured, not the processes ${pids().join(', ')}`);
    const samples: number[] = [];
    const beside: number[] = [];
    while (samples.length < SAMPLES) {
      await pause(EVERY_MS);
      samples.push(alone(pids()) / 1e6);
      beside.push(pids().reduce((sum, pid) => sum + proportional(pid), 0) / 1e6);
    }
    await cluster.api.ask('DELETE', '/apps/memory?wait=true');
    return [{
      what: 'agent + sidecar, 30 containers: memory (PSS, as where no other process shares the node program)', value: median(samples), unit: 'MB', better: 'lower', must: 140, goal: 90,
      detail: `samples 4 s apart: ${samples.map((value) => value.toFixed(0)).join(', ')} MB; beside other node processes ${median(beside).toFixed(0)} MB`,
    }];
  } finally {
    for (const {name} of others) await cluster.api.ask('POST', `/nodes/${name}/uncordon`);
  }
}

/**
 * Bytes that would be free without these processes if nobody else ran: pages of their own, and those of files once for all of
 * them, by the most that one has in memory of each part.
 */
export function alone(pids: readonly number[]): number {
  const files = new Map<string, number>();
  let own = 0;
  for (const pid of pids) {
    for (const {part, resident, anonymous} of mappings(pid)) {
      own += anonymous;
      if (part !== undefined) files.set(part, Math.max(files.get(part) ?? 0, resident - anonymous));
    }
  }
  return own + [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
}

interface Mapping {
  /** Which part of which file; undefined: memory of its own. */
  readonly part: string | undefined;
  /** Bytes. */
  readonly resident: number;
  readonly anonymous: number;
}

function mappings(pid: number): readonly Mapping[] {
  return readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map((text) => {
    const [, offset = '', device = '', inode = '0'] = /^\S+ \S+ (\S+) (\S+) (\d+)/.exec(text) ?? [];
    return {part: inode === '0' ? undefined : `${device} ${inode} ${offset}`, resident: kilobytes(text, 'Rss'), anonymous: kilobytes(text, 'Anonymous')};
  });
}

export const proportional = (pid: number): number => kilobytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'), 'Pss');

/** @returns bytes */
function kilobytes(text: string, field: string): number {
  const [, value] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text) ?? [];
  if (value === undefined) throw new Error(`the kernel tells no ${field}`);
  return Number(value) * 1024;
}
