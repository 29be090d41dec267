/** A whole Hivemind in this process, on an engine in memory. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {createFakeRuntime, FakeEngine} from '@hivemind/container/testing';
import {pino, type Logger} from 'pino';
import {startStandalone, type Standalone, type StandaloneOptions} from '../src/index.ts';

export const silent: Logger = pino({level: 'silent'});

/** Starts it on `engine`, whose containers are of the data dir's cluster. */
export async function startOnFake(dataDir: string, engine: FakeEngine = new FakeEngine(Date.now), options: Partial<StandaloneOptions> = {}): Promise<Standalone> {
  const started = {dataDir, listen: '127.0.0.1:0', logger: silent, ...options};
  // A runtime is made for a cluster, and the cluster is made by the first start.
  const {cluster, stop} = await startStandalone({...started, noAgent: true});
  await stop();
  return startStandalone({...started, runtime: createFakeRuntime({engine, cluster}), nodeName: 'n1'});
}

export const tokenOf = (dataDir: string): string => readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
