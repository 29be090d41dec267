/**
 * Queries a second for names of the cluster, on one core, beside dnsmasq and unbound on the same core.
 *
 *   node bench/dns/run.ts [--names 10000] [--seconds 5] [--rounds 5] [--server-core 0] [--client-core 1] [--write]
 *   node bench/dns/run.ts change [--names 10000]      one endpoint of one service changes: how long the names take to know
 *
 * Needs the Debian packages dnsperf, dnsmasq-base and unbound, which nothing else of the repository needs. Servers run one after the
 * other in each round, the rounds' medians count; processor time a query is told too, since it hardly depends on what else runs on
 * the machine. Exit status 1: a *must* was missed. The sidecar is measured bundled, and with the flags that an agent starts it with.
 */
import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {parseArgs} from 'node:util';
import type {NameItem} from '@hivemind/contracts';
import {Zone} from '@hivemind/discovery/names';
import {SNAPSHOT_FILE, writeSnapshot} from '@hivemind/discovery/names/kept';
import {sidecarNodeFlags} from '@hivemind/sidecar/program';
import {freePort, waitFor} from '@hivemind/testkit';
import {median, meets, nowMs, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    names: {type: 'string', default: '10000'}, seconds: {type: 'string', default: '5'}, rounds: {type: 'string', default: '5'},
    'server-core': {type: 'string', default: '0'}, 'client-core': {type: 'string', default: '1'}, write: {type: 'boolean', default: false},
  },
});
const count = Number(values.names);
const root = resolve(import.meta.dirname, '../..');
/** ms of the kernel's clock tick. */
const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], {encoding: 'utf8'}));
const MUST_QUERIES = 30_000;
const MUST_SHARE = 0.4;
const GOAL_SHARE = 0.8;

interface Contender {
  readonly name: string;
  readonly words: (port: number) => Promise<readonly string[]> | readonly string[];
}
interface Measured {
  readonly queries: number;
  /** µs of processor time of the server a query. */
  readonly cpu: number;
}

const nameOf = (index: number): string => `app${index}.ns${index % 20}.svc.hive`;
const addressOf = (index: number): string => `10.96.${index >> 8}.${index & 255}`;

function items(): readonly NameItem[] {
  return Array.from({length: count}, (_, index) => index).flatMap((index): readonly NameItem[] => [
    {kind: 'service', key: `ns${index % 20}/app${index}`, value: {headless: false, aliases: [], ports: [{name: 'http', port: 80, protocol: 'tcp'}], virtualIp: addressOf(index), traffic: []}},
    ...[0, 1, 2].map((replica): NameItem => ({kind: 'endpoint', key: `app${index}-${replica}`, value: {namespace: `ns${index % 20}`, service: `app${index}`, node: `n${replica}`, address: `10.${244 + replica}.${index >> 8}.${index & 255}`, ports: [{name: 'http', port: 80, protocol: 'tcp'}], revision: 1, ready: true}})),
  ]);
}

async function throughput(dir: string): Promise<void> {
  for (const [program, packageName] of [['dnsperf', 'dnsperf'], ['dnsmasq', 'dnsmasq-base'], ['unbound', 'unbound']] as const) {
    if (spawnSync('which', [program]).status !== 0) throw new Error(`there is no ${program}: apt-get install --no-install-recommends ${packageName}`);
  }
  const {default: bundle} = await import('../../scripts/build/bundle.mjs');
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
  await bundle({entry: join(root, 'apps/sidecar/src/main.ts'), outfile: join(dir, 'sidecar.js')});
  const asked = join(dir, 'queries');
  writeFileSync(asked, Array.from({length: count}, (_, index) => `${nameOf(index)} A\n`).join(''));
  const all = contenders(dir);
  const measured = new Map(all.map(({name}) => [name, [] as Measured[]]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const contender of all) {
      const one = await measure(contender, asked, dir);
      measured.get(contender.name)?.push(one);
      console.error(`${contender.name}: ${Math.round(one.queries)} queries/s, ${one.cpu.toFixed(1)} µs a query`);
    }
  }
  const middle = (name: string, pick: (one: Measured) => number): number => median((measured.get(name) ?? []).map(pick));
  const ratio = (pick: (one: Measured) => number): number => median((measured.get('hivemind') ?? []).map((one, round) => pick(one) / pick(measured.get('dnsmasq')?.[round] ?? one)));
  const rows: readonly Row[] = [
    {what: `queries a second, ${count} names, one core`, value: middle('hivemind', ({queries}) => queries), unit: '/s', better: 'higher', must: MUST_QUERIES, detail: all.map(({name}) => `${name} ${Math.round(middle(name, ({queries}) => queries))}`).join(', ')},
    {what: 'the same, as a share of dnsmasq\'s', value: ratio(({queries}) => queries), unit: 'x', better: 'higher', must: MUST_SHARE, goal: GOAL_SHARE, detail: 'median of the rounds\' ratios'},
    {what: 'by processor time a query', value: ratio(({cpu}) => 1 / cpu), unit: 'x', better: 'higher', must: MUST_SHARE, goal: GOAL_SHARE, detail: all.map(({name}) => `${name} ${middle(name, ({cpu}) => cpu).toFixed(1)} µs`).join(', ')},
  ];
  printRows(rows);
  if (values.write) writeReport('Names', rows, {engine: 'not used', subject: 'the sidecar bundled'});
  if (rows.some((row) => row.must !== undefined && !meets(row, row.must))) process.exitCode = 1;
}

function contenders(dir: string): readonly Contender[] {
  return [
    {
      name: 'hivemind',
      // The sidecar as it ships: bundled.
      async words(port) {
        const dataDir = join(dir, 'data');
        if (!existsSync(join(dataDir, SNAPSHOT_FILE))) execFileSync('mkdir', ['-p', join(dataDir, 'agent')]);
        await writeSnapshot(join(dataDir, SNAPSHOT_FILE), {node: 'n0', listen: [`127.0.0.1:${port}`], virtualIps: true, lacks: false, at: {epoch: 'e', n: 1}}, items());
        return [process.execPath, ...sidecarNodeFlags, join(dir, 'sidecar.js'), 'membership', '--name=n0', '--bind=127.0.0.1:0', `--data-dir=${dataDir}`, `--socket=${join(dir, 's')}`];
      },
    },
    {
      name: 'dnsmasq',
      words(port) {
        const hosts = join(dir, 'hosts');
        writeFileSync(hosts, Array.from({length: count}, (_, index) => `${addressOf(index)} ${nameOf(index)}\n`).join(''));
        return ['dnsmasq', '--no-daemon', '--no-resolv', '--no-hosts', `--addn-hosts=${hosts}`, `--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--cache-size=10000'];
      },
    },
    {
      name: 'unbound',
      words(port) {
        const config = join(dir, 'unbound.conf');
        writeFileSync(config, [
          'server:', '  interface: 127.0.0.1', `  port: ${port}`, '  num-threads: 1', '  do-daemonize: no', '  username: ""', '  chroot: ""', `  directory: "${dir}"`, '  pidfile: ""', '  use-syslog: no', '  verbosity: 0', '  local-zone: "hive." static',
          ...Array.from({length: count}, (_, index) => `  local-data: "${nameOf(index)}. 5 IN A ${addressOf(index)}"`), 'remote-control:', '  control-enable: no', '',
        ].join('\n'));
        return ['unbound', '-d', '-p', '-c', config];
      },
    },
  ];
}

async function measure({name, words}: Contender, asked: string, dir: string): Promise<Measured> {
  const port = await freePort();
  const [command = '', ...rest] = await words(port);
  const log = join(dir, `${name}.log`);
  // The kernel ends it with this process, however that happens.
  const server = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'taskset', '-c', values['server-core'], 'sh', '-c', 'exec "$@" >>"$LOG" 2>&1', 'sh', command, ...rest], {stdio: 'ignore', env: {...process.env, LOG: log}});
  const ended = new Promise((settle) => server.once('exit', settle));
  try {
    const pid = server.pid ?? 0;
    await waitFor(() => spawnSync('dig', ['@127.0.0.1', '-p', String(port), '+short', '+tries=1', '+time=1', nameOf(count - 1)], {encoding: 'utf8'}).stdout.trim() === addressOf(count - 1), {what: `${name} to answer (see ${log})`, deadlineMs: 60_000});
    load(port, asked, 1);
    const before = cpuMs(pid);
    const {queries, completed} = load(port, asked, Number(values.seconds));
    return {queries, cpu: ((cpuMs(pid) - before) * 1000) / completed};
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
}

function load(port: number, asked: string, seconds: number): {readonly queries: number; readonly completed: number} {
  const {stdout} = spawnSync('taskset', ['-c', values['client-core'], 'dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', asked, '-l', String(seconds), '-c', '4', '-q', '200'], {encoding: 'utf8'});
  const read = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const good = read(/NOERROR (\d+)/);
  const completed = read(/Queries completed:\s+(\d+)/);
  if (good !== completed) throw new Error(`not all was answered as it should be:\n${stdout}`);
  return {queries: read(/Queries per second:\s+([\d.]+)/), completed};
}

/** Of all its threads. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function change(): void {
  const zone = new Zone({node: 'n0', virtualIps: false});
  const from = nowMs();
  zone.apply(items(), true, 1);
  const whole = nowMs() - from;
  const times = Array.from({length: 1_000}, (_, index) => {
    const service = (index * 7) % count;
    const began = nowMs();
    zone.apply([{kind: 'endpoint', key: `app${service}-1`, value: {namespace: `ns${service % 20}`, service: `app${service}`, node: 'n1', address: `10.9.${index >> 8}.${index & 255}`, ports: [], revision: 1, ready: true}}], false, index + 2);
    return nowMs() - began;
  }).toSorted((a, b) => a - b);
  console.log(`${count} services of 3 containers: all of them in ${whole.toFixed(0)} ms; one endpoint that changes: median ${(times[500] ?? 0).toFixed(3)} ms, p99 ${(times[990] ?? 0).toFixed(3)} ms`);
}

if (positionals[0] === 'change') change();
else {
  const dir = mkdtempSync(join(tmpdir(), 'bench-dns-'));
  try {
    await throughput(dir);
  } finally {
    rmSync(dir, {recursive: true, force: true});
  }
}
