/** `hivemind delete`: delete what a file describes. */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import {path} from '../api/client.ts';
import {Anything} from '../api/views.ts';
import {collections, fileFlags, FileOptions, prunable, readBundle} from '../apply/bundle.ts';
import {WaitOptions} from './app.ts';
import {label} from './apply.ts';
import {type Host, leaf, noArgs} from './define.ts';
import {waitForGone} from './wait.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'delete',
    summary: 'Delete what a file describes; volumes and namespaces stay',
    example: 'delete -f docker-compose.yml',
    flags: [...fileFlags, ['--wait', 'wait until nothing of them is left'], ['--timeout <duration>', 'how long to wait (default: 5m)']],
    args: noArgs,
    options: FileOptions.extend(WaitOptions.shape),
    async run(session, _args, options) {
      // Every profile: what was applied with one must go too.
      const bundle = await readBundle(session, {...options, profile: ['*']});
      // What one uses cannot go before it.
      const doomed = bundle.resources.filter(({kind}) => prunable.has(kind)).toReversed();
      for (const resource of doomed) {
        try {
          await session.api.call('DELETE', `${collections[resource.kind]}${path`/${resource.name}`}`, Anything, {query: {namespace: resource.namespace}});
          session.output.say(`${label(resource)} deleted`);
        } catch (error) {
          if (!isError(error) || error.status !== 404) throw error;
          session.output.say(`${label(resource)} is not there`);
        }
      }
      for (const resource of bundle.resources) if (resource.kind === 'Volume') session.output.note(`${label(resource)} stays; delete it with: hivemind volume rm ${resource.name} -n ${resource.namespace}`);
      if (options.wait) await waitForGone(session, doomed.filter(({kind}) => kind === 'App'), options.timeout);
    },
  });
}
