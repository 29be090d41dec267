/**
 * `node bench/cluster/run.ts [--only deploy,swarm,power,memory,return] [--rounds 5] [--away 60] [--apart] [--source] [--write]`:
 * three machines with an engine each (network namespaces on this computer), NATS and Redis, every manager in one process, or each
 * a service of its own (`--apart`). The bundle where one was built, else, or with `--source`, the source.
 */
import {parseArgs} from 'node:util';
import {startCluster, type TestCluster} from '../../apps/agent/test/cluster.ts';
import {entry} from '../hivemind.ts';
import {meets, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';
import {benchDeploy} from './deploy.ts';
import {benchPower, benchReturn} from './heal.ts';
import {benchMemory} from './memory.ts';
import {benchSwarm} from './swarm.ts';

const {values} = parseArgs({options: {only: {type: 'string'}, rounds: {type: 'string', default: '5'}, away: {type: 'string', default: '60'}, apart: {type: 'boolean', default: false}, source: {type: 'boolean', default: false}, write: {type: 'boolean', default: false}}});
const rounds = Number(values.rounds);
const parts: Readonly<Record<string, (cluster: TestCluster) => Promise<readonly Row[]>>> = {
  deploy: (cluster) => benchDeploy(cluster, rounds),
  swarm: (cluster) => benchSwarm(cluster, rounds),
  power: (cluster) => benchPower(cluster, rounds),
  memory: (cluster) => benchMemory(cluster),
  return: (cluster) => benchReturn(cluster, {awayMs: Number(values.away) * 1000, apart: values.apart}),
};
const chosen = Object.keys(parts).filter((part) => values.only === undefined || values.only.split(',').includes(part));
if (chosen.length === 0) {
  console.error(`--only takes some of ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
let engine = '';
{
  await using cluster = await startCluster({hivemind: () => [entry], services: values.apart ? 'apart' : 'together'});
  engine = (await cluster.members[0]!.machine.engine.docker.version()).Version;
  for (const part of chosen) rows.push(...((await parts[part]?.(cluster)) ?? []));
}
printRows(rows);
if (values.write) {
  writeReport('Three machines', rows, {engine, subject: entry.endsWith('.ts') ? 'from source' : 'the bundle'});
}
process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;
