/**
 * Deploys through containerd: `POST /apps` → running, against `ctr run -d` of as many in parallel, and against Hivemind on Docker.
 *
 *   node bench/containerd/run.ts [--rounds 5] [--source] [--write]
 */
import {execFileSync, spawn} from 'node:child_process';
import {createWriteStream, existsSync, rmSync} from 'node:fs';
import {basename, join} from 'node:path';
import {pipeline} from 'node:stream/promises';
import {parseArgs} from 'node:util';
import {busyboxImage, type Containerd, dockerEngine, startContainerd} from '@hivemind/testkit';
import {alone, proportional} from '../cluster/memory.ts';
import {entry, type Hivemind, removeDataDir, startHivemind, untilGone, untilRunning} from '../hivemind.ts';
import {median, type Row, spread, timed} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';
import {benchAgentMemory} from './memory.ts';

const {values} = parseArgs({options: {rounds: {type: 'string', default: '5'}, source: {type: 'boolean'}, write: {type: 'boolean'}}});
const rounds = Number(values.rounds);
const MANY = 30;
const HELD = 100;

const docker = await dockerEngine();
const image = await busyboxImage(docker);
const containerd = await startContainerd();
const hiveminds: Hivemind[] = [];
const rows: Row[] = [];
let count = 0;
try {
  const archive = join(containerd.dir, 'busybox.tar');
  await pipeline(await docker.getImage(image).get(), createWriteStream(archive));
  containerd.ctr('images', 'import', archive);
  // By itself: a machine has one cluster's network.
  rows.push(await benchAgentMemory(containerd, image, HELD));
  // As it is for who says nothing, and, like what it is measured against, on networks of the machine's own.
  const ours = await startHivemind({containerdSocket: containerd.socketPath, network: 'auto'});
  hiveminds.push(ours);
  const plain = await startHivemind({containerdSocket: containerd.socketPath});
  hiveminds.push(plain);
  const onDocker = await startHivemind({});
  hiveminds.push(onDocker);
  for (const replicas of [MANY, 1]) {
    const times = {ours: [] as number[], plain: [] as number[], bare: [] as number[], docker: [] as number[]};
    const turns = [
      async () => times.ours.push(await deployed(ours, replicas)),
      async () => times.bare.push(await bare(containerd, replicas)),
      async () => times.plain.push(await deployed(plain, replicas)),
      async () => times.docker.push(await deployed(onDocker, replicas)),
    ];
    // Taken in turns, so that a slow moment of the machine hits all alike; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
      if (round === 0) for (const each of Object.values(times)) each.length = 0;
    }
    if (!existsSync('/sys/class/net/hm0')) throw new Error('the cluster has no network of its own on this machine');
    const against = `ctr ${spread(times.bare)}; Docker ${spread(times.docker)}`;
    for (const [network, taken] of [['network `auto`', times.ours], ['network `none`', times.plain]] as const) {
      const detail = `${spread(taken)}; ${against}`;
      if (replicas === 1) rows.push({what: `1 replica: POST /apps → running, ${network}`, value: median(taken), unit: 'ms', better: 'lower', must: 150, goal: 80, detail});
      else {
        rows.push({what: `${replicas} replicas: POST /apps → running, ${network}, against ${replicas} \`ctr run -d\` in parallel`, value: median(taken) / median(times.bare), unit: 'x', better: 'lower', must: 1.4, goal: 1.1, detail});
        rows.push({what: `${replicas} replicas: times as fast as Hivemind on Docker (there \`none\`), ${network}`, value: median(times.docker) / median(taken), unit: 'x', better: 'higher', must: 1.8, goal: 2.5, detail});
      }
    }
  }
  const before = alone([ours.pid]) / 1e6;
  await deploy(ours, 'held', HELD);
  const held = alone([ours.pid]) / 1e6;
  rows.push({what: `memory that ${HELD} containers add, beside containerd and shims`, value: held - before, unit: 'MB', better: 'lower', detail: `from ${before.toFixed(0)} to ${held.toFixed(0)} MB, after what the rounds left`});
  rows.push({what: `memory with ${HELD} containers, beside containerd and shims: the whole of \`hivemind up\`, control plane and all`, value: held, unit: 'MB', better: 'lower', detail: `${before.toFixed(0)} MB before; beside other node processes ${(proportional(ours.pid) / 1e6).toFixed(0)} MB`});
  await remove(ours, 'held');
  printRows(rows);
  if (values.write === true) {
    const {Version} = await docker.version();
    writeReport('Deploys through containerd', rows, {engine: Version, subject: `containerd ${containerd.ctr('version').match(/Version:\s*(\S+)/)?.[1] ?? ''}; ${basename(entry)}`});
  }
} finally {
  for (const hivemind of hiveminds) {
    await hivemind.stop();
    spawnDown(hivemind.dataDir, hivemind === hiveminds.at(2) ? undefined : containerd);
    removeDataDir(hivemind.dataDir);
  }
  await containerd.stop();
}

async function deploy(hivemind: Hivemind, name: string, replicas: number): Promise<void> {
  const spec = {image, command: ['sleep', '3600'], replicas, resources: {cpu: 0.01, memory: '4Mi'}, stop: {signal: 'SIGKILL', grace: '1s'}};
  const {status, json} = await hivemind.call('POST', '/api/v1/apps', {name, spec});
  if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(json)}`);
  await untilRunning(hivemind, name, replicas, replicas === 1 ? 0 : 20);
}

async function remove(hivemind: Hivemind, name: string): Promise<void> {
  await hivemind.call('DELETE', `/api/v1/apps/${name}`);
  await untilGone(hivemind, name);
}

async function deployed(hivemind: Hivemind, replicas: number): Promise<number> {
  const name = `bench-${++count}`;
  const elapsed = await timed(() => deploy(hivemind, name, replicas));
  await remove(hivemind, name);
  return elapsed;
}

/** As a person would start them, all at once: without a network, limits or a log. */
async function bare({socketPath}: Containerd, replicas: number): Promise<number> {
  const ids = Array.from({length: replicas}, () => `bare-${++count}`);
  const ctr = (...words: readonly string[]): Promise<void> => new Promise((done, failed) => {
    spawn('ctr', ['--address', socketPath, '--namespace', 'hivemind', ...words], {stdio: ['ignore', 'ignore', 'inherit']}).once('error', failed).once('exit', (code) => (code === 0 ? done() : failed(new Error(`ctr ${words.join(' ')} ended with ${code}`))));
  });
  const reference = image.startsWith('docker.io/') ? image : `docker.io/${image}`;
  const elapsed = await timed(() => Promise.all(ids.map((id) => ctr('run', '--detach', '--log-uri', 'file:///dev/null', reference, id, 'sleep', '3600'))));
  await Promise.all(ids.map(async (id) => {
    await ctr('tasks', 'delete', '--force', id);
    await ctr('containers', 'delete', id);
  }));
  return elapsed;
}

/** Also after a failure nothing of it is left. */
function spawnDown(dataDir: string, own: Containerd | undefined): void {
  execFileSync(process.execPath, [entry, 'down', '--data-dir', dataDir, '--server', 'http://127.0.0.1:9', ...(own === undefined ? [] : ['--containerd-socket', own.socketPath])], {stdio: 'ignore'});
  rmSync(dataDir, {recursive: true, force: true});
}
