/** `build`: what the engine is to build, and the name of what comes out. */
import {isRemote} from './canonical.ts';
import type {Lookup} from './interpolation.ts';
import type {Service} from './schema.ts';
import type {Scope} from './scope.ts';

/** One image to build before the app that runs it is applied. */
export interface ComposeBuild {
  /** App that runs the image. */
  readonly app: string;
  /** As the app's spec names it. */
  readonly image: string;
  /** Absolute directory. */
  readonly context: string;
  /** Path within the context. */
  readonly dockerfile: string;
  /** Contents to use in place of that file. */
  readonly dockerfileInline?: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly noCache: boolean;
  /** `name:address`. */
  readonly extraHosts: readonly string[];
}

export function readBuild(app: string, service: Service, image: string, lookup: Lookup, scope: Scope): ComposeBuild | undefined {
  const {build} = service;
  if (!build) return undefined;
  const place = scope.at('build');
  if (isRemote(build.context)) {
    place.at('context').unsupported('a context is a directory of this machine: fetch it first');
    return undefined;
  }
  if (build.dockerfile !== undefined && build.dockerfile_inline !== undefined) place.at('dockerfile_inline').error('stands beside dockerfile: keep one of them');
  const args: Record<string, string> = {};
  for (const [name, value] of Object.entries(build.args ?? {})) {
    // An argument without a value takes it from the environment, and the Dockerfile's default when it is not set there.
    const given = value ?? lookup(name);
    if (given !== undefined) args[name] = given;
  }
  return {
    app,
    image,
    context: build.context,
    dockerfile: build.dockerfile ?? 'Dockerfile',
    ...(build.dockerfile_inline === undefined ? {} : {dockerfileInline: build.dockerfile_inline}),
    args,
    ...(build.target === undefined ? {} : {target: build.target}),
    labels: Object.fromEntries(Object.entries(build.labels ?? {}).map(([name, value]) => [name, value ?? ''])),
    noCache: build.no_cache,
    extraHosts: Object.entries(build.extra_hosts ?? {}).flatMap(([name, addresses]) => (Array.isArray(addresses) ? addresses : [addresses]).map((address) => `${name}:${address}`)),
  };
}
