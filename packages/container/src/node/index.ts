export {createDockerRuntime, type DockerRuntimeOptions} from './docker/runtime.ts';
export * from './worker/index.ts';
