/** Images: list, pull with progress, build. */
import {runtimeErrors, type BuildOptions, type Runtime} from '@hivemind/runtime';
import {Readable} from 'node:stream';
import * as z from 'zod';
import type {PullProgress, RegistryCredentials} from '@hivemind/contracts';
import {EngineProgress} from './answers.ts';
import {asking, type Engine} from './engine.ts';
import {engineError, isStatus, pullError} from './errors.ts';
import {jsonLines} from '../../core/json-lines.ts';

type Progress = z.infer<typeof PullProgress>;
type Credentials = z.infer<typeof RegistryCredentials>;

const ListedImage = z.object({
  Id: z.string(),
  RepoTags: z.array(z.string()).nullish().transform((tags) => (tags ?? []).filter((tag) => tag !== '<none>:<none>')),
  RepoDigests: z.array(z.string()).nullish().transform((digests) => (digests ?? []).filter((digest) => !digest.startsWith('<none>'))),
  Size: z.number(),
  Created: z.number(),
});

export async function listImages(engine: Engine): ReturnType<Runtime['images']> {
  const answer = await asking(engine, 'Listing images', () => engine.docker.listImages());
  return z.array(ListedImage).parse(answer).map((image) => ({
    id: image.Id,
    tags: image.RepoTags,
    digests: image.RepoDigests,
    size: image.Size,
    createdAt: new Date(image.Created * 1000).toISOString(),
  }));
}

export async function hasImage(engine: Engine, image: string): Promise<boolean> {
  return asking(engine, `Looking for the image ${image}`, async () => {
    try {
      await engine.docker.getImage(image).inspect();
      return true;
    } catch (error) {
      if (isStatus(error, 404)) return false;
      throw error;
    }
  });
}

/** Of containers whose they may be. */
export async function usedImages(engine: Engine): Promise<ReadonlySet<string>> {
  const answer = await asking(engine, 'Listing the images in use', () => engine.docker.listContainers({all: true}));
  return new Set(z.array(z.object({ImageID: z.string()})).parse(answer).map(({ImageID}) => ImageID));
}

/** @throws `runtime-conflict` where a container is made from it */
export async function removeImage(engine: Engine, image: string): Promise<void> {
  await asking(engine, `Removing the image ${image}`, async () => {
    try {
      await engine.docker.getImage(image).remove();
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  });
}

/** undefined: the engine is on another machine. */
export async function imageDir(engine: Engine): Promise<string | undefined> {
  if (!engine.address.startsWith('/')) return undefined;
  const {DockerRootDir} = z.object({DockerRootDir: z.string()}).parse(await asking(engine, 'Asking where images are', () => engine.docker.info()));
  return DockerRootDir;
}

/** @throws `image-not-found`, `image-unauthorized`, `image-pull-failed`, `runtime-unavailable`; the signal's reason */
export async function* pullImage(engine: Engine, image: string, credentials: Credentials | undefined, signal: AbortSignal): AsyncGenerator<Progress> {
  try {
    const response = await engine.stream({
      method: 'POST',
      path: '/images/create',
      query: {fromImage: withTag(image)},
      signal,
      ...(credentials ? {credentials: {username: credentials.username, password: credentials.password, serveraddress: credentials.registry ?? registryOf(image)}} : {}),
    });
    yield* progress(response);
  } catch (error) {
    signal.throwIfAborted();
    throw pullError(error, image, engine.address);
  }
  yield {status: `Pulled ${image}`, done: true};
}

/** With the classic builder, which every engine has. @throws `build-failed` with the step's output; the signal's reason */
export async function* buildImage(engine: Engine, context: AsyncIterable<Uint8Array>, options: BuildOptions, signal: AbortSignal): AsyncGenerator<Progress> {
  try {
    const response = await engine.stream({
      method: 'POST',
      path: '/build',
      query: {
        t: options.tag,
        dockerfile: options.dockerfile,
        buildargs: options.args,
        labels: options.labels,
        nocache: options.noCache,
        rm: true,
        forcerm: true,
        ...(options.target === undefined ? {} : {target: options.target}),
        ...(options.extraHosts.length === 0 ? {} : {extrahosts: options.extraHosts.join(',')}),
      },
      signal,
      body: Readable.from(context),
    });
    yield* progress(response);
  } catch (error) {
    signal.throwIfAborted();
    const failure = engineError(error, `Building ${options.tag}`, engine.address);
    throw failure.code === 'runtime-unavailable' ? failure : runtimeErrors['build-failed'](failure.message, {cause: error});
  }
  yield {status: `Built ${options.tag}`, done: true};
}

/** What goes wrong after the engine's 200 is a line of its progress. */
export async function* progress(response: AsyncIterable<Uint8Array>): AsyncGenerator<Progress> {
  for await (const line of jsonLines(response)) {
    const parsed = EngineProgress.safeParse(line);
    if (!parsed.success) continue;
    const {status, stream, id, error, progressDetail} = parsed.data;
    if (error !== undefined) throw new Error(error);
    const text = status ?? stream?.replace(/\n$/, '');
    if (text === undefined || text === '') continue;
    yield {
      status: text,
      ...(id === undefined ? {} : {layer: id}),
      ...(progressDetail?.current === undefined ? {} : {current: progressDetail.current}),
      ...(progressDetail?.total === undefined ? {} : {total: progressDetail.total}),
    };
  }
}

/** Without a tag the engine would pull every one. */
export function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  return name.includes(':') || name.includes('@') ? image : `${image}:latest`;
}

/** `ghcr.io/team/web` → `ghcr.io`; a first part without dot or port is a user of Docker Hub. */
export function registryOf(image: string): string {
  const [first, ...rest] = image.split('/');
  return first !== undefined && rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : 'https://index.docker.io/v1/';
}
