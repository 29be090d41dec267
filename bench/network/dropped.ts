/**
 * `node bench/network/dropped.ts [--rate 2000] [--changes 100] [--minutes 5] [--source] [--write]`: requests at a steady rate, a third
 * each through a virtual IP, through ingress on kept connections, and through ingress on one of its own each, to three machines (network
 * namespaces on this computer), while the app behind them is scaled up, scaled down and rolled in turns; it is gone at once when it is told
 * to stop. Counts those that were not answered in full. Needs root, and Debian's haproxy and nghttp2-client.
 */
import {setTimeout as pause} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../../apps/agent/test/cluster.ts';
import {entry} from '../hivemind.ts';
import {meets, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';
import {cheapServer, type CheapServer, type ClientOptions, under} from './load.ts';

const {values} = parseArgs({options: {rate: {type: 'string', default: '2000'}, changes: {type: 'string', default: '100'}, minutes: {type: 'string', default: '5'}, source: {type: 'boolean', default: false}, write: {type: 'boolean', default: false}}});
const STEADY_MS = 12_000;
const WARM_MS = 5_000;
const REPLICAS = {few: 2, many: 3};
const KEPT = 16;

const Service = z.object({status: z.object({virtualIp: z.string()})});
const Machines = z.object({items: z.array(z.object({state: z.string(), problem: z.string()}))});

let rows: readonly Row[];
let engine: string;
const server = cheapServer();
try {
  await using cluster = await startCluster({hivemind: () => [entry]});
  engine = (await cluster.members[0]!.machine.engine.docker.version()).Version;
  rows = await bench(cluster, server);
} finally {
  server.remove();
}
printRows(rows);
if (values.write) {
  writeReport('Nothing dropped', rows, {engine, subject: entry.endsWith('.ts') ? 'from source' : 'the bundle'});
}
process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;

async function bench(cluster: TestCluster, {command, mounts}: CheapServer): Promise<readonly Row[]> {
  await cluster.connect('auto');
  await cluster.deploy('client', cluster.sleeper({mode: 'global'}));
  await cluster.deploy('web', cluster.sleeper({
    replicas: REPLICAS.few, command: [...command], volumes: mounts.map(({from, to}) => ({host: from, mount: to, readOnly: true})), ports: [{container: 80}],
    stop: {signal: 'SIGTERM', grace: '5s'}, update: {healthyFor: '0s', maxSurge: 1}, health: {readiness: {tcp: {port: 80}, interval: '500ms'}},
  }));
  await cluster.untilRunning('client', 3);
  await settled(cluster, REPLICAS.few, 1);
  await cluster.api.ask('PUT', '/ingresses/web', {name: 'web', spec: {rules: [{app: 'web'}]}});
  await waitFor(async () => {
    const {items} = Machines.parse(await cluster.api.ask('GET', '/ingresses/web/nodes'));
    if (items.length === 3 && items.every(({state}) => state === 'current')) return true;
    throw new Error(JSON.stringify(items));
  }, {what: 'all machines to take the ingress', deadlineMs: 30_000});
  const {status: {virtualIp}} = Service.parse(await cluster.api.ask('GET', '/services/web'));
  const third = Number(values.rate) / 3;
  const addresses = cluster.members.map(({machine}) => machine.address);
  const paths: readonly {readonly what: string; readonly clients: readonly ClientOptions[]}[] = [
    {what: 'virtual IP, a connection each', clients: (await cluster.running('client')).map(({pid}) => ({pid, address: virtualIp, port: 80, perSecond: third / 3, connections: 0}))},
    {what: 'ingress, kept connections', clients: addresses.map((address) => ({address, port: 80, perSecond: third / 3, connections: KEPT}))},
    {what: 'ingress, a connection each', clients: addresses.map((address) => ({address, port: 80, perSecond: third / 3, connections: 0}))},
  ];
  const clients = paths.map((path) => path.clients);
  await under(clients, () => pause(WARM_MS));
  const steady = await under(clients, () => pause(STEADY_MS));
  let changes = 0;
  const changing = await under(clients, async () => {
    changes = await change(cluster);
  });
  return paths.flatMap(({what}, index): Row[] => {
    const [calm, busy] = [steady[index]!, changing[index]!];
    const said = (quantile: number): string => `${busy.quantile(quantile).toFixed(2)} against ${calm.quantile(quantile).toFixed(2)} ms`;
    return [
      {what: `${what}: requests that failed while an app was scaled up, scaled down and rolled, ${changes} changes`, value: busy.failed, unit: 'failed', better: 'lower', must: 0, goal: 0, detail: `of ${busy.made}, ${Math.round(busy.made / busy.seconds)} a second (open loop; ${Math.round((busy.made / busy.seconds) * 3)} on all three ways at once)${busy.why === '' ? '' : `: ${busy.why}`}; without changes ${calm.failed} of ${calm.made}`},
      {what: `${what}: 99th percentile while it changes, against the same load without`, value: busy.quantile(0.99) / calm.quantile(0.99), unit: 'x', better: 'lower', goal: 1.5, detail: `${said(0.99)}; median ${said(0.5)}; a change took ${(busy.seconds / changes).toFixed(1)} s`},
    ];
  });
}

/** @returns how many there were */
async function change(cluster: TestCluster): Promise<number> {
  const until = performance.now() + Number(values.minutes) * 60_000;
  let changes = 0;
  let revision = 1;
  const turns = [
    async () => {
      await cluster.scale('web', REPLICAS.many);
      await settled(cluster, REPLICAS.many, revision);
    },
    async () => {
      await cluster.scale('web', REPLICAS.few);
      await settled(cluster, REPLICAS.few, revision);
    },
    async () => {
      await cluster.api.ask('PATCH', '/apps/web', {spec: {env: {REVISION: String(revision)}}});
      await settled(cluster, REPLICAS.few, ++revision);
    },
  ];
  while (changes < Number(values.changes) && performance.now() < until) await turns[changes++ % turns.length]!();
  return changes;
}

/** As many, all of the revision and ready, and no other left. */
function settled(cluster: TestCluster, replicas: number, revision: number): Promise<unknown> {
  return waitFor(async () => {
    const records = await cluster.records('web');
    if (records.length === replicas && records.every(({spec, status}) => spec.revision === revision && status.ready)) return true;
    throw new Error(JSON.stringify(records.map(({name, spec, status}) => [name, spec.revision, status.phase, status.message])));
  }, {what: `${replicas} of revision ${revision}, and no other`, deadlineMs: 60_000, intervalMs: 100});
}
