/** Flags that say in which engine this machine's containers are. */
import {z} from 'zod';

export const engineAddressFlags = [
  ['--docker-host <url>', 'the Docker Engine, as in unix:///var/run/docker.sock (default: DOCKER_HOST, else that)'],
  ['--containerd-socket <path>', 'containerd (default: CONTAINERD_ADDRESS, else /run/containerd/containerd.sock)'],
] as const;
export const engineFlags = [
  ['--runtime <name>', 'auto, docker or containerd: auto is what this machine used before, else Docker where it answers, else containerd (default: auto)'],
  ...engineAddressFlags,
] as const;

export const engineAddressOptions = {
  dockerHost: z.string().optional(),
  containerdSocket: z.string().regex(/^(unix:\/\/)?\/./, 'is not the path of a socket: write it as in /run/containerd/containerd.sock').transform((path) => path.replace(/^unix:\/\//, '')).optional(),
};
export const engineOptions = {
  runtime: z.enum(['auto', 'docker', 'containerd'], 'is not a runtime of this release; use auto, docker or containerd').default('auto'),
  ...engineAddressOptions,
};

interface Addresses {
  readonly dockerHost?: string | undefined;
  readonly containerdSocket?: string | undefined;
}

/** Those given, else those of the environment. */
export function engineAddressesOf({dockerHost, containerdSocket}: Addresses, env: Readonly<Record<string, string | undefined>>): Addresses {
  return {
    dockerHost: dockerHost ?? (env.DOCKER_HOST || undefined),
    containerdSocket: containerdSocket ?? (env.CONTAINERD_ADDRESS?.replace(/^unix:\/\//, '') || undefined),
  };
}

export function engineOf<R extends string>({runtime, ...given}: Addresses & {readonly runtime: R}, env: Readonly<Record<string, string | undefined>>): Addresses & {readonly runtime: R} {
  return {runtime, ...engineAddressesOf(given, env)};
}
