/** Hivemind as a process of its own, and the little of its API that the bench uses. */
import {spawn, type ChildProcess} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Agent, request} from 'node:http';
import {freePort} from '@hivemind/testkit';
import {nowMs} from './measure.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const bundle = join(root, 'dist/apps/cli/bin/hivemind.mjs');

/** What is measured: the bundle that ships, or the source where none was built. */
export const entry = existsSync(bundle) && !process.argv.includes('--source') ? bundle : join(root, 'apps/cli/src/main.ts');

export interface AppStatus {
  readonly phase: string;
  readonly replicas: {readonly desired: number; readonly running: number; readonly ready: number};
}

export interface Hivemind {
  readonly pid: number;
  readonly url: string;
  readonly dataDir: string;
  /** ms from spawn to the first 200 of /readyz. */
  readonly readyMs: number;
  call(method: string, path: string, body?: unknown): Promise<{readonly status: number; readonly json: unknown}>;
  /** Calls `onChunk` whenever a stream brings something, until closed. */
  follow(path: string, onChunk: () => void): {close(): void};
  stop(): Promise<void>;
}

export interface StartOptions {
  /** As DOCKER_HOST; or containerd's. */
  readonly dockerHost?: string;
  readonly containerdSocket?: string;
  readonly dataDir?: string;
  /** Back-end of the cluster's network; default: none, as the engine that it is measured against. */
  readonly network?: string;
  /** Further words for `hivemind up`. */
  readonly flags?: readonly string[];
}

export function newDataDir(): string {
  return mkdtempSync(join(tmpdir(), 'hivemind-bench-data-'));
}

export function removeDataDir(dataDir: string): void {
  rmSync(dataDir, {recursive: true, force: true});
}

export async function startHivemind({dockerHost, containerdSocket, dataDir = newDataDir(), network = 'none', flags = []}: StartOptions): Promise<Hivemind> {
  const port = await freePort();
  const engine = containerdSocket === undefined ? ['--runtime', 'docker', ...(dockerHost === undefined ? [] : ['--docker-host', dockerHost])] : ['--runtime', 'containerd', '--containerd-socket', containerdSocket];
  const from = nowMs();
  const child = spawn(process.execPath, [entry, 'up', '--data-dir', dataDir, '--listen', `127.0.0.1:${port}`, '--network', network, ...engine, ...flags], {stdio: ['ignore', 'ignore', 'pipe']});
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
  const agent = new Agent({keepAlive: true});
  while (!(await answers(port, agent))) {
    if (child.exitCode !== null) throw new Error(`hivemind ended with ${child.exitCode}: ${said}`);
    if (nowMs() - from > 30_000) throw new Error(`hivemind is not ready after 30 s: ${said}`);
    await new Promise((done) => setTimeout(done, 5));
  }
  const readyMs = nowMs() - from;
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
  return {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${port}`,
    dataDir,
    readyMs,
    call: (method, path, body) => send(port, agent, method, path, token, body),
    follow: (path, onChunk) => {
      const outgoing = request({host: '127.0.0.1', port, path, headers: {authorization: `Bearer ${token}`}}, (incoming) => {
        incoming.on('data', onChunk);
        incoming.on('error', () => undefined);
      });
      outgoing.on('error', () => undefined);
      outgoing.end();
      return {close: () => outgoing.destroy()};
    },
    stop: async () => {
      agent.destroy();
      await end(child);
    },
  };
}

/** As a tool waits: told of changes by `/events`, it looks again, at most every `pauseMs`. */
export async function untilRunning(hivemind: Hivemind, app: string, replicas: number, pauseMs: number): Promise<void> {
  let wake = (): void => undefined;
  const changes = hivemind.follow(`/api/v1/events?kind=App&name=${app}`, () => wake());
  try {
    for (const deadline = nowMs() + 120_000; ; ) {
      const changed = new Promise<void>((resolve) => (wake = resolve));
      const {json} = await hivemind.call('GET', `/api/v1/apps/${app}`);
      const status = (json as {status?: AppStatus}).status;
      if (status && status.replicas.running >= replicas) return;
      if (nowMs() > deadline) throw new Error(`app ${app} is not running: ${JSON.stringify(json).slice(0, 2000)}`);
      // The second bound catches a change from before the stream was open.
      await Promise.race([changed, new Promise((done) => setTimeout(done, 100))]);
      if (pauseMs > 0) await new Promise((done) => setTimeout(done, pauseMs));
    }
  } finally {
    changes.close();
  }
}

export async function untilGone(hivemind: Hivemind, app: string): Promise<void> {
  for (const deadline = nowMs() + 120_000; nowMs() < deadline; ) {
    if ((await hivemind.call('GET', `/api/v1/apps/${app}`)).status === 404) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`app ${app} is not gone`);
}

function answers(port: number, agent: Agent): Promise<boolean> {
  return send(port, agent, 'GET', '/readyz', '').then(({status}) => status === 200, () => false);
}

function send(port: number, agent: Agent, method: string, path: string, token: string, body?: unknown): Promise<{status: number; json: unknown}> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {authorization: `Bearer ${token}`, ...(text === undefined ? {} : {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)})};
    const outgoing = request({host: '127.0.0.1', port, method, path, agent, headers}, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const answer = Buffer.concat(chunks).toString();
        try {
          resolve({status: incoming.statusCode ?? 0, json: answer === '' ? undefined : JSON.parse(answer)});
        } catch {
          resolve({status: incoming.statusCode ?? 0, json: answer});
        }
      });
    });
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  child.kill('SIGTERM');
  await gone;
}
