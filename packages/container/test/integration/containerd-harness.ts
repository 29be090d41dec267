/** containerd runtimes for tests, and images for them out of a real registry. */
import {basename, join} from 'node:path';
import {dockerEngine, startContainerd, startRegistry, type Containerd, type Registry} from '@hivemind/testkit';
import type {Runtime} from '@hivemind/runtime';
import pino from 'pino';
import {createContainerdRuntime, type RegistrySettings} from '../../src/node/index.ts';
import {push} from './registry.ts';

export interface ContainerdBench extends AsyncDisposable {
  readonly containerd: Containerd;
  /** Has `base:1`, which is pulled. */
  readonly registry: Registry;
  readonly cluster: string;
  readonly image: string;
  /** Where the driver keeps its files. */
  readonly root: string;
  /** One more driver, as another agent would have it. @param plainHttp further registries that it speaks to in the clear */
  open(options?: {readonly cluster?: string; readonly plainHttp?: readonly string[]; readonly registries?: RegistrySettings}): Promise<Runtime>;
}

/** @param disk bytes of a disk that containerd has to itself */
export async function containerdBench(disk?: number): Promise<ContainerdBench> {
  const docker = await dockerEngine();
  const [containerd, registry] = await Promise.all([startContainerd(disk === undefined ? {} : {disk}), startRegistry()]);
  // What is left in the kernel after a crash is found by it.
  const cluster = basename(containerd.dir);
  const root = join(containerd.dir, 'hivemind');
  const open: ContainerdBench['open'] = (options = {}) => createContainerdRuntime({
    socketPath: containerd.socketPath, cgroupParent: containerd.cgroupParent, root, registries: {...Object.fromEntries([registry.host, ...(options.plainHttp ?? [])].map((host) => [host, {plainHttp: true}])), ...options.registries},
    cluster: options.cluster ?? cluster, node: 'n1', logger: pino({level: process.env['LOG'] ?? 'silent'}), now: Date.now,
  });
  const stop = async (): Promise<void> => void (await Promise.all([containerd.stop(), registry.stop()]));
  try {
    await push(docker, registry.host, 'base');
    const image = `${registry.host}/base:1`;
    const runtime = await open();
    await pulled(runtime, image);
    await runtime.close();
    return {containerd, registry, cluster, image, root, open, [Symbol.asyncDispose]: stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function pulled(runtime: Runtime, image: string): Promise<void> {
  for await (const step of runtime.pull(image, undefined, AbortSignal.timeout(30_000))) if (step.error !== undefined) throw new Error(step.error);
}
