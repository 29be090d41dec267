/**
 * Requests a second through ingress, beside HAProxy configured by hand for the same app, on the same machine.
 *
 *   node bench/network/ingress.ts [--seconds 2] [--rounds 15] [--connections 32] [--write]
 *
 * Needs the Debian packages haproxy and wrk. The two containers of the app are a HAProxy too, which answers by itself, so that what is
 * measured is not they. Contenders take turns in each of many short rounds, and the median of the rounds' ratios counts: one process of
 * the same program may be a quarter faster than the next one. Processor time a request is told too. By hand: as few lines as do the
 * same, with and without a log of requests. Exit status 1: a *must* was missed.
 */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {IngressSpec} from '@hivemind/contracts';
import {freePort, waitFor} from '@hivemind/testkit';
import {compile} from '../../packages/discovery/src/core/ingress/compile.ts';
import {median, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values} = parseArgs({options: {seconds: {type: 'string', default: '2'}, rounds: {type: 'string', default: '15'}, connections: {type: 'string', default: '32'}, write: {type: 'boolean', default: false}}});
/** ms of the kernel's clock tick. */
const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], {encoding: 'utf8'}));
const MUST = 0.9;
const GOAL = 0.98;

const dir = mkdtempSync(join(tmpdir(), 'bench-ingress-'));
const running: ChildProcess[] = [];
const [endpoints, port] = [await freePort(), await freePort()];
const addresses = ['127.0.0.2', '127.0.0.3'];
const timeouts = ['  timeout connect 5s', '  timeout client 60s', '  timeout server 60s'];

function byHand(withLog: boolean): string {
  return [
    'global', ...(withLog ? ['  log stdout format raw local0'] : []),
    'defaults', '  mode http', ...timeouts, ...(withLog ? ['  log global', '  option httplog'] : []),
    'frontend http', `  bind *:${port}`, "  use_backend web if { hdr(host) -i 'shop.example' }",
    'backend web', '  balance leastconn', '  option forwardfor', ...addresses.map((address, index) => `  server s${index} ${address}:${endpoints}`), '',
  ].join('\n');
}

/** `retries`: absent, as they are unless somebody says otherwise: of connections alone, as by hand. */
function ours(accessLog: boolean, retries?: object): string {
  const ports = [{port: endpoints, protocol: 'tcp' as const}];
  return compile({
    version: 'v', before: {}, dir, user: undefined, certificates: new Map(), files: [], folder: dir, problem: '',
    ingresses: [{namespace: 'shop', name: 'site', spec: IngressSpec.parse({rules: [{host: 'shop.example', app: 'web'}], listen: {http: port}, accessLog, ...(retries === undefined ? {} : {retries})})}],
    service: () => ({namespace: 'shop', name: 'web', headless: false, addresses: [], ports, endpoints: addresses.map((address, index) => ({container: `web-${index}`, node: 'n1', address, ports, weight: 100}))}),
  }).plan.config;
}

async function start(config: string): Promise<ChildProcess> {
  const file = join(dir, `${running.length}.cfg`);
  writeFileSync(file, config);
  const log = openSync(join(dir, 'log'), 'a');
  const child = spawn('/usr/sbin/haproxy', ['-db', '-f', file], {stdio: ['ignore', log, log]});
  running.push(child);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Processor time that a process has used, ms. */
function usedMs({pid}: ChildProcess): number {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(words[11]) + Number(words[12])) * TICK_MS;
}

function wrk(seconds: string): number {
  const answer = execFileSync('wrk', ['-t', '1', '-c', values.connections, '-d', `${seconds}s`, '-H', 'Host: shop.example', `http://127.0.0.1:${port}/`], {encoding: 'utf8'});
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(answer);
  if (failed) throw new Error(`requests failed: ${answer}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(answer)?.[1]);
}

const answers = (): Promise<boolean> => fetch(`http://127.0.0.1:${port}/`, {headers: {host: 'shop.example'}}).then(() => true, () => false);

async function measured(config: string): Promise<{readonly rate: number; readonly cpu: number}> {
  const child = await start(config);
  try {
    await waitFor(answers, {what: 'HAProxy to answer'});
    wrk('1');
    const before = usedMs(child);
    const rate = wrk(values.seconds);
    return {rate, cpu: ((usedMs(child) - before) * 1000) / (rate * Number(values.seconds))};
  } finally {
    await end(child);
  }
}

try {
  await start(['global', '  nbthread 1', 'defaults', '  mode http', ...timeouts, 'frontend app', ...addresses.map((address) => `  bind ${address}:${endpoints}`), '  http-request return status 200 content-type text/plain string "a page of few words"', ''].join('\n'));
  const contenders = [['by hand, log', () => byHand(true)], ['ours, log', () => ours(true)], ['by hand', () => byHand(false)], ['ours', () => ours(false)], ['tried again', () => ours(true, {on: ['connect', 'empty']})]] as const;
  const results = new Map<string, {rate: number; cpu: number}[]>(contenders.map(([name]) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    // Each comes first as often as last.
    for (const [name, config] of round % 2 === 0 ? contenders : contenders.toReversed()) results.get(name)?.push(await measured(config()));
  }
  const of = (name: string, what: 'rate' | 'cpu'): number => median((results.get(name) ?? []).map((one) => one[what]));
  /** Of the rounds' own ratios: a machine that others use too is faster in one than in the next. */
  const ratio = (one: string, other: string): number => median((results.get(one) ?? []).map(({rate}, round) => rate / (results.get(other)?.[round]?.rate ?? NaN)));
  const rows = [', log', ''].map((kind): Row => ({
    what: `requests/s through ingress against HAProxy by hand${kind === '' ? ', neither logs requests' : ', both log requests'}`, unit: 'x', better: 'higher', must: MUST, goal: GOAL,
    value: ratio(`ours${kind}`, `by hand${kind}`),
    detail: `${Math.round(of(`ours${kind}`, 'rate'))} against ${Math.round(of(`by hand${kind}`, 'rate'))} a second; ${of(`ours${kind}`, 'cpu').toFixed(1)} against ${of(`by hand${kind}`, 'cpu').toFixed(1)} µs of processor each`,
  }));
  const share = ratio('tried again', 'by hand, log');
  const all = [...rows, {what: 'the same where GET is tried again when a container closes unanswered (retries.on: [connect, empty])', unit: 'x', better: 'higher', value: share, detail: `${of('tried again', 'cpu').toFixed(1)} µs of processor each`} satisfies Row];
  printRows(all);
  if (values.write) writeReport('Ingress', all, {engine: 'not used', subject: `${values.rounds} rounds of ${values.seconds} s, ${values.connections} kept connections`});
  if (rows.some(({value}) => value < MUST)) process.exitCode = 1;
} finally {
  for (const child of running) await end(child);
  rmSync(dir, {recursive: true, force: true});
}
