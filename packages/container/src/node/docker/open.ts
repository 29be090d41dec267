/** The door to the driver: it is loaded only where Docker is used. */
import type {Runtime} from '@hivemind/runtime';
import type {EngineAddress} from './engine.ts';
import type {DockerRuntimeOptions} from './runtime.ts';

export type {DockerRuntimeOptions} from './runtime.ts';

/** Does not connect yet: an engine that is away shows in `events()` and in each call. @throws `invalid-input` for a bad address */
export async function createDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  const {openDockerRuntime} = await import('./runtime.ts');
  return openDockerRuntime(options);
}

/**
 * Ids of the clusters whose containers were made for this data dir, those with most containers first.
 * @throws `runtime-unavailable` 503
 */
export async function earlierClustersOfDocker(where: EngineAddress, dataDir: string): Promise<readonly string[]> {
  const {earlierClusters} = await import('./earlier-clusters.ts');
  return earlierClusters(where, dataDir);
}
