/** `npm run bench`: all parts, or those of `--only a,b`. See README.md beside this file. */
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {busyboxImage} from '@hivemind/testkit';
import {benchDeploy} from './deploy.ts';
import {startBenchEngine, type BenchEngine} from './engine.ts';
import {entry} from './hivemind.ts';
import {meets, type Row} from './measure.ts';
import {printRows, writeReport} from './report.ts';
import {benchMemory, benchRestart, benchStart} from './standalone.ts';

const root = join(import.meta.dirname, '..');
const {values} = parseArgs({options: {only: {type: 'string'}, rounds: {type: 'string', default: '7'}, write: {type: 'boolean', default: false}, source: {type: 'boolean', default: false}}});
const rounds = Number(values.rounds);
const parts = ['store', 'deploy', 'start', 'memory', 'restart'] as const;
const chosen = values.only === undefined ? parts : parts.filter((part) => values.only?.split(',').includes(part));
if (chosen.length === 0) {
  console.error(`--only takes some of ${parts.join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
if (chosen.includes('store')) rows.push(...storeRows());
let engineVersion = 'not used';
const standalone = chosen.filter((part) => part !== 'store');
if (standalone.length > 0) {
  const engine = await startBenchEngine();
  process.once('SIGINT', () => void engine.stop().finally(() => process.exit(130)));
  try {
    engineVersion = (await engine.docker.version()).Version;
    rows.push(...(await engineRows(engine)));
  } finally {
    await engine.stop();
  }
}
printRows(rows);
if (values.write) {
  writeReport('One machine', rows, {engine: engineVersion, subject: entry.endsWith('.ts') ? 'from source' : 'the bundle'});
}
process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;

async function engineRows(engine: BenchEngine): Promise<readonly Row[]> {
  const image = await busyboxImage(engine.docker);
  const options = {engine, image, rounds};
  const measured: Row[] = [];
  if (chosen.includes('deploy')) measured.push(...(await benchDeploy(options)));
  if (chosen.includes('start')) measured.push(...(await benchStart(options)));
  if (chosen.includes('memory')) measured.push(...(await benchMemory(options)));
  if (chosen.includes('restart')) measured.push(...(await benchRestart(options)));
  return measured;
}

/** In a process of its own, so that nothing else shares its two threads. */
function storeRows(): readonly Row[] {
  const result = spawnSync(process.execPath, [join(root, 'bench/store/bench.ts'), '--json'], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']});
  if (result.status !== 0) throw new Error('the store bench failed');
  return JSON.parse(result.stdout) as readonly Row[];
}
