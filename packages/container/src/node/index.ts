export {CONTAINERD_SOCKET, createContainerdRuntime, type ContainerdRuntimeOptions, earlierClustersOfContainerd, readRegistries, type RegistrySettings} from './containerd/open.ts';
export {createDockerRuntime, type DockerRuntimeOptions, earlierClustersOfDocker} from './docker/open.ts';
export {defaultRetention, type Retention} from './images/core/retention.ts';
export {serveContainerNode, type ContainerNode, type ContainerNodeOptions} from './serve.ts';
export * from './worker/index.ts';
