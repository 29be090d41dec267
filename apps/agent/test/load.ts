/** Clients in a container: one connection a request, at a steady rate, each of which must be answered in full. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {dirname} from 'node:path';
import {text} from 'node:stream/consumers';
import type {AppSpecInput} from '@hivemind/contracts';
import * as z from 'zod';
import type {TestCluster} from './cluster.ts';

const LoadReport = z.object({
  made: z.number(),
  /** By what went wrong: a code of the system, `cut`, or `timeout`. */
  failed: z.record(z.string(), z.number()),
  /** ms from connecting until all was there; of those that did not fail, in order. */
  times: z.array(z.number()),
});
export type LoadReport = z.infer<typeof LoadReport>;

export interface LoadOptions {
  /** A container that runs: its network is the clients'. */
  readonly from: string;
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly perSecond: number;
}

/** Who asks at a steady rate, until told to stop. */
export interface Load<Report> {
  /** Makes no more, and waits for those that are under way. */
  stop(): Promise<Report>;
}

/**
 * A program of Node's that asks until its standard input ends, and then says how it fared, as JSON.
 * @param words of its command line, after `node`
 * @param pid a process in whose network it is; absent: this one
 */
export function askingProgram<Report>(report: z.ZodType<Report>, words: readonly string[], pid?: number): Load<Report> {
  const inNetwork = pid === undefined ? [] : ['nsenter', '--target', String(pid), '--net'];
  const [command = '', ...args] = [...inNetwork, process.execPath, ...words];
  const child = spawn(command, args, {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, NODE_OPTIONS: ''}});
  const said = text(child.stdout);
  const closed = once(child, 'close');
  return {
    async stop() {
      child.stdin.end();
      await closed;
      return report.parse(JSON.parse(await said));
    },
  };
}

const server = `
  process.on('SIGTERM', () => process.exit());
  require('net').createServer((socket) => {
    socket.on('error', () => undefined).once('data', (asked) => setTimeout(() => socket.end('ok\\n'), String(asked).startsWith('GET /slow ') ? 300 : 0));
  }).listen(80, '0.0.0.0');`;

/** Of an app that answers `GET /` with `ok` at once, `GET /slow` after 0.3 s, and that is gone the moment it is told to stop. */
export function servingOk(): Pick<AppSpecInput, 'command' | 'volumes'> {
  // Busybox's server lets no more than 9 wait.
  return {command: ['/node/node', '-e', server], volumes: nodeFolders().map(({from, to}) => ({host: from, mount: to, readOnly: true}))};
}

/** Where this computer's own Node is, with what it is linked to, and where in a container that runs `/node/node`. */
export function nodeFolders(): readonly {readonly from: string; readonly to: string}[] {
  const report = z.object({sharedObjects: z.array(z.string())}).parse(process.report.getReport());
  const libraries = new Set(report.sharedObjects.filter((path) => path.startsWith('/')).map(dirname));
  return [{from: dirname(process.execPath), to: '/node'}, ...[...libraries].map((path) => ({from: path, to: path}))];
}

const clients = `
  const net = require('net');
  const [address, port, path, perSecond] = process.argv.slice(1);
  const report = {made: 0, failed: {}, times: []};
  const begun = performance.now();
  let open = 0;
  let stopped = false;
  const done = () => {
    if (!stopped || open > 0) return;
    report.times.sort((a, b) => a - b);
    process.stdout.write(JSON.stringify(report), () => process.exit());
  };
  const request = () => {
    report.made += 1;
    open += 1;
    const at = performance.now();
    let said = '';
    let over = false;
    const end = (failure) => {
      if (over) return;
      over = true;
      open -= 1;
      socket.destroy();
      if (failure) report.failed[failure] = (report.failed[failure] ?? 0) + 1;
      else report.times.push(Math.round((performance.now() - at) * 100) / 100);
      done();
    };
    const socket = net.connect(Number(port), address, () => socket.write('GET ' + path + ' HTTP/1.0\\r\\n\\r\\n'));
    socket.setTimeout(8000, () => end('timeout'));
    socket.on('data', (data) => (said += data)).on('end', () => end(said.endsWith('ok\\n') ? '' : 'cut')).on('error', ({code}) => end(code));
  };
  const timer = setInterval(() => {
    while (report.made < ((performance.now() - begun) / 1000) * Number(perSecond)) request();
  }, 2);
  process.stdin.resume().on('end', () => {
    clearInterval(timer);
    stopped = true;
    done();
  });`;

export async function startLoad(cluster: TestCluster, {from, address, port, path, perSecond}: LoadOptions): Promise<Load<LoadReport>> {
  const found = (await cluster.running()).find(({id}) => id === from);
  if (!found) throw new Error(`${from} does not run`);
  return askingProgram(LoadReport, ['-e', clients, address, String(port), path, String(perSecond)], found.pid);
}
