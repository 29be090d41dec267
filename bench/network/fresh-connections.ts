/**
 * Requests on a connection of their own each, at a steady rate whatever becomes of those before (an open loop), by Debian's h2load: a
 * sixth of the processor time that Node takes for one. It wants to know beforehand how many there will be, hence in spells.
 */
import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {mkdtempDisposable} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {promisify} from 'node:util';
import * as z from 'zod';
import type {Load} from '../../apps/agent/test/load.ts';
import {GRAIN, type Report} from './load.ts';

/** Of a spell, and of a connection at most (ms). */
const [SPELL_MS, TIMEOUT_MS] = [5_000, 8_000];
const Count = z.coerce.number().int();

export interface FreshOptions {
  /** Whose network is the client's; undefined: this process'. */
  readonly pid?: number | undefined;
  readonly address: string;
  readonly port: number;
  readonly perSecond: number;
}

export function startFresh(options: FreshOptions): Load<Report> {
  let stopped = false;
  const report: Report = {made: 0, failed: {}, times: {}};
  const all = (async () => {
    const spells: Promise<void>[] = [];
    for (let next = performance.now(); !stopped; next += SPELL_MS) {
      await pause(Math.max(0, next - performance.now()));
      spells.push(spell(options, report));
    }
    await Promise.all(spells);
  })();
  return {
    async stop() {
      stopped = true;
      await all;
      return report;
    },
  };
}

async function spell({pid, address, port, perSecond}: FreshOptions, report: Report): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'hivemind-bench-load-'));
  const log = join(dir.path, 'log');
  // As many each time as come to the rate with times of whole milliseconds, about a hundred times a second.
  const together = Math.max(1, Math.round(perSecond / 100));
  const everyMs = Math.round((together * 1_000) / perSecond);
  const count = Math.round((SPELL_MS / everyMs) * together);
  const inNetwork = pid === undefined ? [] : ['nsenter', '--target', String(pid), '--net'];
  const words = ['--h1', '-n', String(count), '-c', String(count), '-r', String(together), '--rate-period', `${everyMs}ms`, '-T', `${TIMEOUT_MS}ms`, '--log-file', log, `http://${address}:${port}/`];
  const [program = '', ...rest] = [...inNetwork, 'h2load', ...words];
  const {stdout} = await promisify(execFile)(program, rest, {maxBuffer: 2 ** 24});
  const counted = (name: string): number => Count.parse(new RegExp(`(\\d+) ${name}`).exec(stdout)?.[1]);
  const [total, answered] = [counted('total'), counted('2xx')];
  const late = Math.min(counted('timeout'), total - answered);
  report.made += total;
  for (const [why, number] of [['timeout', late], ['refused, reset, cut or no 200', total - answered - late]] as const) if (number > 0) report.failed[why] = (report.failed[why] ?? 0) + number;
  // Of those with an answer: when it was asked (µs), its status, and how long it took from then (µs).
  for (const line of answered === 0 ? [] : readFileSync(log, 'utf8').trim().split('\n')) {
    const [, status, us = ''] = line.split('\t');
    const time = Math.round((Number(us) / 1_000) * GRAIN);
    if (status === '200') report.times[time] = (report.times[time] ?? 0) + 1;
  }
}
