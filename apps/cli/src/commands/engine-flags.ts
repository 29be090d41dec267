/** Flags that say in which engine this machine's containers are. */
import type {RegistrySettings, Retention} from '@hivemind/agent';
import {Duration, durationMs} from '@hivemind/contracts';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';

export const engineAddressFlags = [
  ['--docker-host <url>', 'the Docker Engine, as in unix:///var/run/docker.sock (default: DOCKER_HOST, else that)'],
  ['--containerd-socket <path>', 'containerd (default: CONTAINERD_ADDRESS, else /run/containerd/containerd.sock)'],
] as const;
export const engineFlags = [
  ['--runtime <name>', 'auto, docker or containerd: auto is what this machine used before, else Docker where it answers, else containerd (default: auto)'],
  ...engineAddressFlags,
  ['--registries <file>', 'how containerd\'s images are fetched: authorities, credentials, mirrors, registries without TLS (default: HIVEMIND_REGISTRIES, else as is usual)'],
  ['--image-disk <high:low>', 'where the disk is fuller than the first (percent), fetched images that nobody uses go, the longest unused first, until it is at the second; off: never (default: HIVEMIND_IMAGE_DISK, else 85:80)'],
  ['--image-age <duration>', 'fetched images that nobody used for so long go, as in 30d (default: HIVEMIND_IMAGE_AGE, else never)'],
] as const;

export const engineAddressOptions = {
  dockerHost: z.string().optional(),
  containerdSocket: z.string().regex(/^(unix:\/\/)?\/./, 'is not the path of a socket: write it as in /run/containerd/containerd.sock').transform((path) => path.replace(/^unix:\/\//, '')).optional(),
};
export const engineOptions = {
  runtime: z.enum(['auto', 'docker', 'containerd'], 'is not a runtime of this release; use auto, docker or containerd').default('auto'),
  registries: z.string().min(1).optional(),
  imageDisk: z.string().optional(),
  imageAge: z.string().optional(),
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

type Asked<R> = Addresses & {readonly runtime: R; readonly registries?: string | undefined; readonly imageDisk?: string | undefined; readonly imageAge?: string | undefined};
type Given<R> = Addresses & {readonly runtime: R; readonly registries?: RegistrySettings; readonly retention?: Retention};

/** With what the file of registries says, and what images go. @throws `invalid-input`, `wrong-usage` naming what is wrong */
export async function engineOf<R extends string>({runtime, registries, imageDisk, imageAge, ...given}: Asked<R>, env: Readonly<Record<string, string | undefined>>): Promise<Given<R>> {
  const file = registries ?? (env.HIVEMIND_REGISTRIES || undefined);
  const retention = retentionOf(imageDisk ?? (env.HIVEMIND_IMAGE_DISK || undefined), imageAge ?? (env.HIVEMIND_IMAGE_AGE || undefined));
  return {runtime, ...engineAddressesOf(given, env), ...(retention === undefined ? {} : {retention}), ...(file === undefined ? {} : {registries: await (await import('@hivemind/agent')).readRegistries(file)})};
}

const FRESH_MS = 120_000;

/** undefined: nothing was said. */
export function retentionOf(disk: string | undefined, age: string | undefined): Retention | undefined {
  if (disk === undefined && age === undefined) return undefined;
  const [, high = '', low = ''] = /^(\d{1,3}):(\d{1,3})$/.exec(disk ?? '85:80') ?? [];
  if (disk !== 'off' && !(Number(low) > 0 && Number(low) < Number(high) && Number(high) <= 100)) throw cliErrors['wrong-usage'](`--image-disk ${disk ?? ''} is not two percentages: write the higher first, as in 85:80, or off`);
  if (age !== undefined && !Duration.safeParse(age).success) throw cliErrors['wrong-usage'](`--image-age ${age} is not a duration: write a number with m, h or d, as in 30d`);
  return {minAgeMs: FRESH_MS, ...(disk === 'off' ? {} : {disk: {high: Number(high), low: Number(low)}}), ...(age === undefined ? {} : {maxAgeMs: durationMs(age)})};
}
