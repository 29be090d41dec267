/**
 * `node bench/network/dropped.ts [--rate 2000] [--changes 100] [--minutes 10] [--source] [--write]`: requests through a virtual IP, a
 * connection each, from three machines (network namespaces on this computer), while the app behind it is scaled up, scaled down and
 * rolled in turns; it is gone at once when it is told to stop. Counts those that were not answered in full.
 */
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {waitFor} from '@hivemind/testkit';
import {z} from 'zod';
import {startCluster, type TestCluster} from '../../apps/agent/test/cluster.ts';
import {type LoadReport, servingOk, startLoad} from '../../apps/agent/test/load.ts';
import {entry} from '../hivemind.ts';
import {meets, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const root = join(import.meta.dirname, '../..');
const {values} = parseArgs({options: {rate: {type: 'string', default: '2000'}, changes: {type: 'string', default: '100'}, minutes: {type: 'string', default: '10'}, source: {type: 'boolean', default: false}, write: {type: 'boolean', default: false}}});
const rate = Number(values.rate);
const STEADY_MS = 15_000;
const REPLICAS = {few: 4, many: 6};

const Overlay = z.object({items: z.array(z.object({backend: z.string()}))});
const Service = z.object({status: z.object({virtualIp: z.string()})});

interface Outcome {
  readonly made: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** ms */
  readonly p99: number;
}

let rows: readonly Row[];
let engine: string;
{
  await using cluster = await startCluster({hivemind: () => [entry]});
  engine = (await cluster.members[0]!.machine.engine.docker.version()).Version;
  rows = await bench(cluster);
}
printRows(rows);
if (values.write) {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {cwd: root, encoding: 'utf8'}).trim();
  writeReport(join(root, 'docs/benchmarks.md'), 'Nothing dropped', rows, {engine, subject: entry.endsWith('.ts') ? 'from source' : 'the bundle', commit});
}
process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;

async function bench(cluster: TestCluster): Promise<readonly Row[]> {
  await cluster.api.ask('PATCH', '/networks/cluster', {spec: {backend: 'vxlan'}});
  await waitFor(async () => Overlay.parse(await cluster.api.ask('GET', '/networks/overlay')).items.filter(({backend}) => backend === 'vxlan').length === 3, {what: 'all machines to have a network', deadlineMs: 30_000});
  await cluster.deploy('client', cluster.sleeper({mode: 'global'}));
  await cluster.deploy('web', cluster.sleeper({
    replicas: REPLICAS.few, ...servingOk(), ports: [{container: 80}], stop: {signal: 'SIGTERM', grace: '5s'},
    update: {healthyFor: '0s', maxSurge: 2}, health: {readiness: {tcp: {port: 80}, interval: '500ms'}},
  }));
  await cluster.untilRunning('client', 3);
  await settled(cluster, REPLICAS.few, 1);
  const {status: {virtualIp: address}} = Service.parse(await cluster.api.ask('GET', '/services/web'));
  const clients = (await cluster.records('client')).map(({name}) => name);
  const under = async (work: () => Promise<unknown>): Promise<Outcome> => {
    const begun = performance.now();
    const loads = await Promise.all(clients.map((from) => startLoad(cluster, {from, address, port: 80, path: '/', perSecond: rate / clients.length})));
    // Whatever became of it, no client is left.
    const done = await Promise.allSettled([work()]);
    const reports = await Promise.all(loads.map((load) => load.stop()));
    for (const one of done) if (one.status === 'rejected') throw one.reason;
    return outcomeOf(reports, (performance.now() - begun) / 1_000);
  };
  const steady = await under(() => pause(STEADY_MS));
  let changes = 0;
  const changing = await under(async () => {
    const until = performance.now() + Number(values.minutes) * 60_000;
    for (let revision = 1; changes < Number(values.changes) && performance.now() < until; ) {
      await cluster.scale('web', REPLICAS.many);
      await settled(cluster, REPLICAS.many, revision);
      await cluster.scale('web', REPLICAS.few);
      await settled(cluster, REPLICAS.few, revision);
      await cluster.api.ask('PATCH', '/apps/web', {spec: {env: {REVISION: String(revision)}}});
      await settled(cluster, REPLICAS.few, ++revision);
      changes += 3;
    }
  });
  const failures = Object.values(changing.failed).reduce((sum, count) => sum + count, 0);
  const said = Object.entries(changing.failed).map(([why, count]) => `${count} ${why}`).join(', ');
  return [
    {what: `${changes} scale-ups, scale-downs and rolling updates in turns, through a virtual IP: requests that failed`, value: failures, unit: 'failed', better: 'lower', must: 0, goal: 0, detail: `of ${changing.made}, ${Math.round(changing.made / changing.seconds)} a second${said === '' ? '' : `: ${said}`}; steady ${steady.made}, of which failed ${Object.values(steady.failed).reduce((sum, count) => sum + count, 0)}`},
    {what: 'the same: 99th percentile of a request against the same load with no change', value: changing.p99 / steady.p99, unit: 'x', better: 'lower', goal: 1.5, detail: `${changing.p99.toFixed(1)} against ${steady.p99.toFixed(1)} ms`},
  ];
}

function outcomeOf(reports: readonly LoadReport[], seconds: number): Outcome {
  const failed: Record<string, number> = {};
  for (const report of reports) for (const [why, count] of Object.entries(report.failed)) failed[why] = (failed[why] ?? 0) + count;
  const times = Float64Array.from(reports.flatMap((report) => report.times)).sort();
  return {made: reports.reduce((sum, {made}) => sum + made, 0), failed, seconds, p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN};
}

/** As many, all of the revision and ready, and no other left. */
function settled(cluster: TestCluster, replicas: number, revision: number): Promise<unknown> {
  return waitFor(async () => {
    const records = await cluster.records('web');
    if (records.length === replicas && records.every(({spec, status}) => spec.revision === revision && status.ready)) return true;
    throw new Error(JSON.stringify(records.map(({name, spec, status}) => [name, spec.revision, status.phase, status.message])));
  }, {what: `${replicas} of revision ${revision}, and no other`, deadlineMs: 120_000, intervalMs: 100});
}
