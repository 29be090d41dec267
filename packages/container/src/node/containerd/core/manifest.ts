/** What registries and archives say of images: manifests, indexes and configs of OCI and of Docker. Pure. */
import * as z from 'zod';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is not a sha256 digest');
export const Descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
  platform: z.object({os: z.string(), architecture: z.string(), variant: z.string().optional()}).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

export const Manifest = z.object({mediaType: z.string().optional(), config: Descriptor, layers: z.array(Descriptor).max(500)});
export type Manifest = z.infer<typeof Manifest>;
export const Index = z.object({mediaType: z.string().optional(), manifests: z.array(Descriptor).max(500)});

const lines = z.array(z.string()).nullish().transform((value) => value ?? undefined);
export const ImageConfig = z.object({
  os: z.string().optional(),
  architecture: z.string().optional(),
  created: z.string().nullish(),
  config: z.object({Env: lines, Cmd: lines, Entrypoint: lines, WorkingDir: z.string().nullish(), User: z.string().nullish()}).nullish(),
  rootfs: z.object({diff_ids: z.array(digest).nullish().transform((value) => value ?? [])}),
});
export type ImageConfig = z.infer<typeof ImageConfig>;

export const manifestTypes = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
export const indexTypes = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];

/** As registries write them. */
export interface Platform {
  readonly os: 'linux';
  readonly architecture: string;
  readonly variant?: string;
}

/** By Node's name of the processor. */
export function platformOf(arch: string): Platform {
  const architecture = ({x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386', ppc64: 'ppc64le'} as Readonly<Record<string, string>>)[arch] ?? arch;
  return {os: 'linux', architecture, ...(arch === 'arm' ? {variant: 'v7'} : {})};
}

/** The one of an index that runs here: of several, the one whose variant is named. */
export function forPlatform(manifests: readonly Descriptor[], {os, architecture, variant}: Platform): Descriptor | undefined {
  const fitting = manifests.filter(({platform}) => platform?.os === os && platform.architecture === architecture);
  return fitting.find(({platform}) => platform?.variant === variant) ?? fitting[0];
}

/** Names of the layers' snapshots, each for all up to it: OCI's chain ids. @param hash Of a text, as `sha256:…` */
export function chainIds(diffIds: readonly string[], hash: (text: string) => string): readonly string[] {
  const chain: string[] = [];
  for (const id of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? id : hash(`${below} ${id}`));
  }
  return chain;
}
