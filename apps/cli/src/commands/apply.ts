/** `hivemind apply`: make it so. */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, ResourceView} from '../api/views.ts';
import {buildImages, withImage} from '../apply/build.ts';
import {type Bundle, collections, fileFlags, FileOptions, kinds, prunable, readBundle, type Resource} from '../apply/bundle.ts';
import {type Existing, existingKey, leftovers, readExisting, stateOf} from '../apply/existing.ts';
import {printNotices} from '../apply/notices.ts';
import {withFileVersions} from '../apply/rollout.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {WaitOptions} from './app.ts';
import {type Host, leaf, noArgs} from './define.ts';
import {waitForApps} from './wait.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'apply',
    summary: 'Make it so: create and change what a Compose file or manifests describe',
    example: ['apply -f docker-compose.yml --wait', 'apply -f app.yaml -f db.yaml -n shop', 'apply -f docker-compose.yml -p shop --prune'],
    flags: [
      ...fileFlags,
      ['--prune', 'delete what was applied earlier and is no longer in the file; volumes stay'],
      ['--build', 'build images even where nothing they are made of has changed'],
      ['--no-build', 'do not build images'],
      ['--wait', 'wait until all apps run, and say why if one does not'],
      ['--timeout <duration>', 'how long to wait (default: 5m)'],
    ],
    args: noArgs,
    options: FileOptions.extend({...WaitOptions.shape, prune: z.boolean().default(false), build: z.boolean().optional()}),
    async run(session, _args, options) {
      const bundle = await readBundle(session, options);
      printNotices(session, bundle.notices);
      const images = options.build === false ? new Map<string, string>() : await buildImages(session, bundle.builds, options.build === true ? 'always' : 'changed');
      const apps = await applyBundle(session, bundle, images);
      if (options.prune) await prune(session, bundle);
      if (options.wait) await waitForApps(session, apps, options.timeout);
    },
  });
}

/** @returns the apps of the bundle. @throws `failed`, naming each resource that could not be applied, after all were tried */
async function applyBundle(session: Session, bundle: Bundle, images: ReadonlyMap<string, string>): Promise<readonly Resource[]> {
  const existing = await readExisting(session, bundle, kinds.filter((kind) => bundle.resources.some((resource) => resource.kind === kind)));
  const written = new Map<string, number>();
  const failures: string[] = [];
  for (const resource of bundle.resources) {
    try {
      await applyOne(session, resource.kind === 'App' ? withFileVersions(withImage(resource, images), written) : resource, existing.get(existingKey(resource)), written);
    } catch (error) {
      // Without its namespace, or without a server, nothing else can succeed either.
      if (!isError(error) || resource.kind === 'Namespace' || error.code === 'server-absent' || error.status === 401) throw error;
      failures.push([`${label(resource)}: ${error.message}`, ...error.errors.map(({path: place, message}) => `  ${place}: ${message}`)].join('\n  '));
    }
  }
  if (failures.length > 0) throw cliErrors.failed(`${failures.length} of ${bundle.resources.length} could not be applied:\n  ${failures.join('\n  ')}`);
  return bundle.resources.filter(({kind}) => kind === 'App');
}

async function applyOne({api, output}: Session, resource: Resource, before: Existing | undefined, written: Map<string, number>): Promise<void> {
  if (resource.implied === true && (before !== undefined || resource.name === 'default')) return;
  const {data} = await api.call('PUT', `${collections[resource.kind]}${path`/${resource.name}`}`, ResourceView, {
    body: resource.body,
    query: resource.kind === 'Namespace' ? {} : {namespace: resource.namespace},
  });
  written.set(existingKey(resource), data.meta.generation);
  output.say(`${label(resource)} ${before === undefined ? 'created' : before.state === stateOf(data) ? 'unchanged' : 'configured'}`);
}

async function prune(session: Session, bundle: Bundle): Promise<void> {
  const existing = await readExisting(session, bundle, kinds.filter((kind) => prunable.has(kind)));
  for (const item of leftovers(bundle, existing)) {
    await session.api.call('DELETE', `${collections[item.kind]}${path`/${item.name}`}`, Anything, {query: {namespace: item.namespace}});
    session.output.say(`${label(item)} deleted`);
  }
}

export function label({kind, name}: Pick<Resource, 'kind' | 'name'>): string {
  return `${kind.toLowerCase()}/${name}`;
}
