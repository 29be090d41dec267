/** Flags that say in which engine this machine's containers are. */
import type {RegistrySettings} from '@hivemind/agent';
import {z} from 'zod';

export const engineAddressFlags = [
  ['--docker-host <url>', 'the Docker Engine, as in unix:///var/run/docker.sock (default: DOCKER_HOST, else that)'],
  ['--containerd-socket <path>', 'containerd (default: CONTAINERD_ADDRESS, else /run/containerd/containerd.sock)'],
] as const;
export const engineFlags = [
  ['--runtime <name>', 'auto, docker or containerd: auto is what this machine used before, else Docker where it answers, else containerd (default: auto)'],
  ...engineAddressFlags,
  ['--registries <file>', 'how containerd\'s images are fetched: authorities, credentials, mirrors, registries without TLS (default: HIVEMIND_REGISTRIES, else as is usual)'],
] as const;

export const engineAddressOptions = {
  dockerHost: z.string().optional(),
  containerdSocket: z.string().regex(/^(unix:\/\/)?\/./, 'is not the path of a socket: write it as in /run/containerd/containerd.sock').transform((path) => path.replace(/^unix:\/\//, '')).optional(),
};
export const engineOptions = {
  runtime: z.enum(['auto', 'docker', 'containerd'], 'is not a runtime of this release; use auto, docker or containerd').default('auto'),
  registries: z.string().min(1).optional(),
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

type Asked<R> = Addresses & {readonly runtime: R; readonly registries?: string | undefined};

/** With what the file of registries says. @throws `invalid-input` naming what is wrong with it */
export async function engineOf<R extends string>({runtime, registries, ...given}: Asked<R>, env: Readonly<Record<string, string | undefined>>): Promise<Addresses & {readonly runtime: R; readonly registries?: RegistrySettings}> {
  const file = registries ?? (env.HIVEMIND_REGISTRIES || undefined);
  return {runtime, ...engineAddressesOf(given, env), ...(file === undefined ? {} : {registries: await (await import('@hivemind/agent')).readRegistries(file)})};
}
