import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {dockerEngine, startContainerd, startRegistry} from '@hivemind/testkit';
import pino from 'pino';
import {createContainerdRuntime} from '../../src/node/index.ts';
import {runtimeContract} from '../../src/testing/index.ts';
import {buildContext} from './harness.ts';
import {push, startRegistries} from './registry.ts';

runtimeContract('containerd', async () => {
  const docker = await dockerEngine();
  const [containerd, registries, base] = await Promise.all([startContainerd(), startRegistries(docker), startRegistry()]);
  await push(docker, base.host, 'base');
  const image = `${base.host}/base:1`;
  const plainHttp = [registries.images.open, registries.images.closed, image].map((name) => name.slice(0, name.indexOf('/')));
  const open = (cluster: string) => createContainerdRuntime({
    socketPath: containerd.socketPath, cgroupParent: containerd.cgroupParent, root: join(containerd.dir, 'hivemind'), registries: {plainHttp},
    cluster, node: 'n1', logger: pino({level: process.env['LOG'] ?? 'silent'}), now: Date.now,
  });
  const cluster = `test-${randomBytes(4).toString('hex')}`;
  const [runtime, stranger] = await Promise.all([open(cluster), open(`${cluster}-other`)]);
  for await (const step of runtime.pull(image, undefined, AbortSignal.timeout(30_000))) expect(step.error).toBeUndefined();
  return {
    under: {runtime, stranger, cluster, image, registry: registries.images, context: () => buildContext(`FROM ${image}\n`)},
    close: async () => {
      await Promise.all([runtime.close(), stranger.close()]);
      await Promise.all([containerd.stop(), registries.stop(), base.stop()]);
    },
  };
}, {builder: true, ports: true});
