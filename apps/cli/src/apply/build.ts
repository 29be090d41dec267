/** Images of a Compose file, built by the engine before the apps that run them are applied. */
import type {Readable} from 'node:stream';
import type {ComposeBuild} from '@hivemind/compose';
import * as z from 'zod';
import {jsonLines} from '../api/streams.ts';
import {ImageView, ProgressView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import type {Resource} from './bundle.ts';

/**
 * @param which to build: `changed` is what no machine has yet, `none` only works out the names
 * @returns the image of each app, named after what it is made of: a changed context is another image, so it is rolled
 *   out, and a rollback finds the one before
 */
export async function buildImages(session: Session, builds: readonly ComposeBuild[], which: 'changed' | 'always' | 'none'): Promise<ReadonlyMap<string, string>> {
  const images = new Map<string, string>();
  if (builds.length === 0) return images;
  const {openContext} = await import('./context.ts');
  for (const build of builds) {
    const context = await openContext(build);
    const image = contentTag(build.image, context.hash);
    if (which === 'always' || (which === 'changed' && (build.noCache || !(await hasImage(session, image))))) {
      session.output.note(`building ${image} from ${build.context}`);
      await send(session, build, image, context);
    }
    images.set(build.app, image);
  }
  return images;
}

/** The app with the image that was built for it. */
export function withImage(resource: Resource, images: ReadonlyMap<string, string>): Resource {
  const image = images.get(resource.name);
  const spec = z.record(z.string(), z.unknown()).safeParse(resource.body.spec);
  return image === undefined || !spec.success ? resource : {...resource, body: {...resource.body, spec: {...spec.data, image}}};
}

/** `shop-web` → `shop-web:3f2a…`; `shop/web:1` → `shop/web:1-3f2a…`. */
export function contentTag(image: string, hash: string): string {
  const slash = image.lastIndexOf('/');
  const colon = image.indexOf(':', slash);
  const short = hash.slice(0, 12);
  return colon === -1 ? `${image}:${short}` : `${image}-${short}`;
}

/** Whether every machine that has any image has this one: each may come to run it. */
async function hasImage({api}: Session, image: string): Promise<boolean> {
  const {items} = await api.list('/images', ImageView);
  const nodes = new Set(items.map(({node}) => node));
  const holders = new Set(items.filter(({tags}) => tags.includes(image)).map(({node}) => node));
  return nodes.size > 0 && holders.size === nodes.size;
}

function entries(pairs: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(pairs).map(([name, value]) => `${name}=${value}`);
}

interface Context {
  readonly dockerfile: string;
  stream(): Readable;
}

export async function send(session: Session, build: Omit<ComposeBuild, 'app' | 'image'>, image: string, context: Context): Promise<void> {
  const response = await session.api.open('POST', '/images/build', {
    query: {
      tag: image, dockerfile: context.dockerfile, target: build.target, noCache: build.noCache,
      args: entries(build.args), labels: entries(build.labels), extraHosts: build.extraHosts,
    },
    upload: {stream: context.stream(), type: 'application/x-tar'},
  });
  const said: string[] = [];
  for await (const {status, error} of jsonLines(response, ProgressView)) {
    if (error !== undefined) throw cliErrors.failed(`${image} could not be built: ${error}${said.length === 0 ? '' : `\n${said.slice(-20).join('\n')}`}`);
    const text = status.trimEnd();
    if (text !== '') said.push(text);
    if (text !== '' && session.terminal.err.isTTY === true) session.output.note(`  ${text}`);
  }
}
