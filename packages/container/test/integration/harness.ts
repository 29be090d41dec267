/** Docker runtimes for tests, each of a cluster of its own, that leave nothing on the engine. */
import {randomBytes} from 'node:crypto';
import {Readable} from 'node:stream';
import {busyboxImage, waitFor} from '@hivemind/testkit';
import {engineLabels} from '@hivemind/contracts';
import type {Runtime} from '@hivemind/runtime';
import pino from 'pino';
import {pack} from 'tar-stream';
import type Docker from 'dockerode';
import {createDockerRuntime} from '../../src/node/index.ts';

export interface TestCluster {
  readonly cluster: string;
  readonly runtime: Runtime;
  readonly image: string;
  close(): Promise<void>;
}

export async function testCluster(docker: Docker, socketPath?: string): Promise<TestCluster> {
  const cluster = `test-${randomBytes(4).toString('hex')}`;
  const image = await busyboxImage(docker);
  const runtime = await createDockerRuntime({...(socketPath === undefined ? {} : {socketPath}), cluster, node: 'n1', logger: pino({level: 'silent'}), now: Date.now});
  const close = async (): Promise<void> => {
    await runtime.close();
    await removeAll(docker, `${engineLabels.cluster}=${cluster}`);
  };
  return {cluster, runtime, image, close};
}

async function removeAll(docker: Docker, label: string): Promise<void> {
  const filters = {label: [label]};
  for (const {Id} of await docker.listContainers({all: true, filters})) await docker.getContainer(Id).remove({force: true, v: true});
  // The engine does one at a time, for all its clients.
  await waitFor(() => docker.pruneNetworks({filters}), {what: 'unused networks to be removed'});
  for (const {Name} of (await docker.listVolumes({filters})).Volumes) await docker.getVolume(Name).remove();
}

/** A build context of one Dockerfile. */
export function buildContext(dockerfile: string): Readable {
  const tar = pack();
  tar.entry({name: 'Dockerfile'}, dockerfile);
  tar.finalize();
  return Readable.from(tar);
}
