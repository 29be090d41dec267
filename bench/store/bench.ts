/**
 * Compare-and-set with 256 in flight, on disk before the answer, on both drivers.
 *
 *   node bench/store/bench.ts [--json] [--writes 20000] [--rounds 3] [--driver sqlite|redis]
 *
 * Each of 256 loops owns a key and replaces its record at the version that it wrote last: every write is a real
 * comparison, none conflicts. Beside it stands what this disk does alone: one 4 KiB write and sync after the other. The
 * median round counts.
 */
import {closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {openRedisStore, openSqliteStore, type Store} from '@hivemind/store';
import {startRedis} from '@hivemind/testkit';
import {formatValue, type Row} from '../measure.ts';

const IN_FLIGHT = 256;
const MUST = 15_000;
const GOAL = 50_000;

interface Round {
  readonly perSecond: number;
  /** ms from asking to the answer. */
  readonly p50: number;
  readonly p99: number;
  /** CPU of this process per write, µs. */
  readonly cpu: number;
  /** Syncs a second that the disk does alone, measured right before. */
  readonly syncs: number;
}

const {values: options} = parseArgs({
  options: {json: {type: 'boolean', default: false}, writes: {type: 'string', default: '20000'}, rounds: {type: 'string', default: '3'}, driver: {type: 'string'}},
});

const value = JSON.stringify({v: 1, kind: 'Container', spec: {image: 'nginx:1.29', env: {MODE: 'prod'}, ports: [{container: 80}]}, status: {phase: 'running', restarts: 0, startedAt: '2026-01-01T00:00:00Z'}});

async function measure(store: Store, writes: number, syncs: number): Promise<Round> {
  await compareAndSet(store, 'warm-up', Math.min(writes, 5_000));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const latencies = (await compareAndSet(store, 'run', writes)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1000;
  const {user, system} = process.cpuUsage(cpu);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99), cpu: (user + system) / latencies.length, syncs};
}

async function compareAndSet(store: Store, run: string, writes: number): Promise<number[]> {
  const latencies: number[] = [];
  let asked = 0;
  const loop = async (index: number): Promise<void> => {
    const key = `${run}/${index}`;
    for (let version = 0; asked < writes; ) {
      asked += 1;
      const start = performance.now();
      const result = await store.transact({compare: [{collection: 'bench', key, version}], writes: [{op: 'put', collection: 'bench', key, value}]});
      if (!result.ok) throw new Error(`Nobody else writes ${key}, and still: ${result.reason}`);
      version = result.revision.n;
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({length: IN_FLIGHT}, (_, index) => loop(index)));
  return latencies;
}

/** Syncs a second, one at a time. */
function diskAlone(folder: string): number {
  const file = openSync(join(folder, 'alone'), 'w');
  const block = Buffer.alloc(4096);
  const start = performance.now();
  let syncs = 0;
  for (; performance.now() - start < 500; syncs += 1) {
    writeSync(file, block);
    fdatasyncSync(file);
  }
  closeSync(file);
  return Math.round(syncs / ((performance.now() - start) / 1000));
}

async function onSqlite(folder: string, writes: number): Promise<Round> {
  const store = await openSqliteStore({path: join(folder, 'store.db')});
  try {
    return await measure(store, writes, diskAlone(folder));
  } finally {
    await store.close();
  }
}

async function onRedis(folder: string, writes: number): Promise<Round> {
  await using server = await startRedis();
  const store = await openRedisStore({url: server.url});
  try {
    return await measure(store, writes, diskAlone(folder));
  } finally {
    await store.close();
  }
}

function toRow(name: string, rounds: readonly Round[]): Row {
  const sorted = [...rounds].sort((a, b) => a.perSecond - b.perSecond);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (!median) throw new Error('At least one round is needed.');
  const spread = `${Math.round(sorted[0]?.perSecond ?? 0)}–${Math.round(sorted.at(-1)?.perSecond ?? 0)}`;
  return {
    what: `store, compare-and-set, ${IN_FLIGHT} in flight, on disk, ${name}`,
    value: Math.round(median.perSecond), unit: '/s', better: 'higher', must: MUST, goal: GOAL,
    detail: `${(median.perSecond / median.syncs).toFixed(1)} × the disk's ${Math.round(median.syncs)} syncs/s; p50 ${median.p50.toFixed(1)} ms, p99 ${median.p99.toFixed(1)} ms, ${median.cpu.toFixed(0)} µs CPU a write; ${rounds.length} rounds, ${spread}/s`,
  };
}

const drivers = {SQLite: onSqlite, Redis: onRedis};
const rows: Row[] = [];
for (const [name, run] of Object.entries(drivers)) {
  if (options.driver !== undefined && options.driver !== name.toLowerCase()) continue;
  const rounds: Round[] = [];
  for (let round = 0; round < Number(options.rounds); round += 1) {
    // Beside the checkout, as /tmp may be memory.
    const folder = mkdtempSync(join(import.meta.dirname, '.run-'));
    try {
      rounds.push(await run(folder, Number(options.writes)));
    } finally {
      rmSync(folder, {recursive: true});
    }
  }
  rows.push(toRow(name, rounds));
}
process.stdout.write(options.json ? `${JSON.stringify(rows)}\n` : rows.map(({what, value: found, unit, detail}) => `${what}: ${formatValue(found, unit)}\n  ${detail}\n`).join(''));
