/** A whole Hivemind in this process: on an engine in memory, or on one that a test brings. */
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createFakeRuntime, type FakeRuntime} from '@hivemind/container/testing';
import type {Runtime} from '@hivemind/runtime';
import {pino} from 'pino';
import {type CommandOptions, hivemind, type Outcome} from './command.ts';

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** Where commands run. */
  readonly directory: string;
  /** Writes a file there. */
  file(name: string, content: string): void;
  /** Runs the command against this server. */
  run(words: string | readonly string[], options?: CommandOptions): Promise<Outcome>;
}

/** The engine has to know the cluster's id before Hivemind starts. */
export const cluster = 'c0ffee00-0000-4000-8000-000000000000';

export async function startServer(): Promise<Server & {readonly runtime: FakeRuntime}> {
  const runtime = createFakeRuntime({cluster, images: ['busybox', 'busybox:2']});
  return {runtime, ...(await startServerOn(runtime))};
}

/** @param runtime of `cluster`; it is not closed */
export async function startServerOn(runtime: Runtime): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'hivemind-cli-'));
  const dataDir = join(directory, 'data');
  const project = join(directory, 'shop');
  mkdirSync(dataDir, {mode: 0o700});
  mkdirSync(project);
  writeFileSync(join(dataDir, 'cluster.json'), JSON.stringify({id: cluster, createdAt: new Date(0).toISOString()}));
  const {startStandalone} = await import('@hivemind/standalone');
  const standalone = await startStandalone({dataDir, listen: '127.0.0.1:0', runtime, nodeName: 'n1', logger: pino({level: 'silent'})});
  return {
    url: standalone.url,
    token: readFileSync(join(dataDir, 'admin.token'), 'utf8').trim(),
    directory: project,
    file: (name, content) => writeFileSync(join(project, name), content),
    run: (words, options = {}) => hivemind(words, {cwd: project, home: directory, ...options, env: {HIVEMIND_SERVER: standalone.url, HIVEMIND_DATA_DIR: dataDir, ...options.env}}),
    async [Symbol.asyncDispose]() {
      await standalone.stop();
      rmSync(directory, {recursive: true, force: true});
    },
  };
}
