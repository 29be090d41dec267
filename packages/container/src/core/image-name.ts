/** Image names as people write them, and as registries and containerd want them. Pure. */

export interface ImageName {
  /** Host and port, as in `docker.io` or `127.0.0.1:5000`. */
  readonly registry: string;
  /** As in `library/busybox`. */
  readonly repository: string;
  /** A tag, or a digest where there is one: what a manifest is asked for by. */
  readonly reference: string;
  /** The whole, nothing left out. */
  readonly full: string;
}

const HUB = 'docker.io';

/** `busybox` → docker.io, library/busybox, latest. undefined: it is not an image's name. */
export function parseImageName(name: string): ImageName | undefined {
  const match = /^(?:(?<host>[A-Za-z0-9[][^/]*[.:][^/]*|localhost)\/)?(?<path>[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*)(?::(?<tag>[\w][\w.-]{0,127}))?(?:@(?<digest>[a-z0-9+._-]+:[0-9a-f]{32,}))?$/.exec(name);
  if (!match?.groups) return undefined;
  const {host, path = '', tag, digest} = match.groups;
  const registry = host === undefined || host === 'index.docker.io' ? HUB : host;
  const repository = registry === HUB && !path.includes('/') ? `library/${path}` : path;
  const suffix = `${tag !== undefined || digest === undefined ? `:${tag ?? 'latest'}` : ''}${digest === undefined ? '' : `@${digest}`}`;
  return {registry, repository, reference: digest ?? tag ?? 'latest', full: `${registry}/${repository}${suffix}`};
}

/** The name in full → as people write it. */
export function familiarName(full: string): string {
  return full.replace(/^docker\.io\/(library\/)?/, '');
}
