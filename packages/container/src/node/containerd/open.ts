/** The door to the driver: it and gRPC are loaded only where containerd is used. */
import type {Runtime} from '@hivemind/runtime';
import type {ContainerdRuntimeOptions} from './runtime.ts';

export {readRegistries} from './images/registries-file.ts';
export type {RegistrySettings} from './images/registry.ts';
export type {ContainerdRuntimeOptions} from './runtime.ts';

/** Where Debian's containerd listens. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/** Does not connect yet: a containerd that is away shows in `events()` and in each call. */
export async function createContainerdRuntime(options: ContainerdRuntimeOptions): Promise<Runtime> {
  const {ContainerdRuntime} = await import('./runtime.ts');
  return new ContainerdRuntime(options);
}

/** As `earlierClustersOfDocker`. @throws `runtime-unavailable` 503 */
export async function earlierClustersOfContainerd(socketPath: string, dataDir: string): Promise<readonly string[]> {
  const {earlierClusters} = await import('./earlier-clusters.ts');
  return earlierClusters(socketPath, dataDir);
}
