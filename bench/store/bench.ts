/**
 * Compare-and-set with 256 in flight, on disk before the answer, on both drivers.
 *
 *   node bench/store/bench.ts [--json] [--writes 40000] [--driver sqlite|redis]
 *
 * Each of 256 loops owns a key and replaces its record at the version that it wrote last: every write is a real
 * comparison, none conflicts. Beside it stands what this disk does alone: one 4 KiB write and sync after the other.
 */
import {closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {openRedisStore, openSqliteStore, type Store} from '@hivemind/store';
import {startRedis} from '@hivemind/testkit';

const IN_FLIGHT = 256;
const MUST = 15_000;
const GOAL = 50_000;

interface Result {
  readonly perSecond: number;
  /** ms from asking to the answer. */
  readonly p50: number;
  readonly p99: number;
  /** CPU of this process per write, µs. */
  readonly cpu: number;
  readonly ofMust: number;
  readonly ofGoal: number;
}

const {values: options} = parseArgs({
  options: {json: {type: 'boolean', default: false}, writes: {type: 'string', default: '40000'}, driver: {type: 'string'}},
});

const value = JSON.stringify({v: 1, kind: 'Container', spec: {image: 'nginx:1.29', env: {MODE: 'prod'}, ports: [{container: 80}]}, status: {phase: 'running', restarts: 0, startedAt: '2026-01-01T00:00:00Z'}});

async function measure(store: Store, writes: number): Promise<Result> {
  await compareAndSet(store, 'warm-up', Math.min(writes, 5_000));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const latencies = (await compareAndSet(store, 'run', writes)).sort((a, b) => a - b);
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  const perSecond = Math.round(latencies.length / seconds);
  const at = (share: number): number => Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2));
  return {
    perSecond, p50: at(0.5), p99: at(0.99),
    cpu: Number(((used.user + used.system) / latencies.length).toFixed(1)),
    ofMust: Number((perSecond / MUST).toFixed(2)), ofGoal: Number((perSecond / GOAL).toFixed(2)),
  };
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

async function onSqlite(folder: string, writes: number): Promise<Result> {
  const store = await openSqliteStore({path: join(folder, 'store.db')});
  try {
    return await measure(store, writes);
  } finally {
    await store.close();
  }
}

async function onRedis(writes: number): Promise<Result> {
  await using server = await startRedis();
  const store = await openRedisStore({url: server.url});
  try {
    return await measure(store, writes);
  } finally {
    await store.close();
  }
}

// Beside the checkout's disk, as /tmp may be memory.
const folder = mkdtempSync(join(import.meta.dirname, '.run-'));
try {
  const writes = Number(options.writes);
  const results = {
    inFlight: IN_FLIGHT,
    valueBytes: value.length,
    syncsPerSecond: diskAlone(folder),
    ...(options.driver === 'redis' ? {} : {sqlite: await onSqlite(folder, writes)}),
    ...(options.driver === 'sqlite' ? {} : {redis: await onRedis(writes)}),
  };
  const lines = Object.entries(results).flatMap(([name, result]) =>
    typeof result === 'object' ? `${name}: ${result.perSecond}/s (${result.ofMust} × must, ${result.ofGoal} × goal), p50 ${result.p50} ms, p99 ${result.p99} ms, ${result.cpu} µs CPU a write` : [],
  );
  process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : `${lines.join('\n')}\n(this disk alone: ${results.syncsPerSecond} syncs/s)\n`);
} finally {
  rmSync(folder, {recursive: true});
}
