/** `hivemind namespace …`. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, ResourceView} from '../api/views.ts';
import {age} from '../output/quantities.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';

const Namespace = ResourceView.extend({status: z.object({apps: z.number().default(0)}).default({apps: 0})});

export function register(parent: Command, host: Host): void {
  const namespace = parent.command('namespace').description('Namespaces: what keeps projects apart').addHelpText('after', exampleText('namespace ls'));
  leaf(namespace, host, {
    use: 'ls', alias: 'list', summary: 'List namespaces', example: 'namespace ls', args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/namespaces', Namespace);
      await session.output.list(items, raw, [
        {title: 'NAMESPACE', value: ({name}) => name},
        {title: 'APPS', value: ({status}) => status.apps},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], 'There is no namespace.');
    },
  });
  leaf(namespace, host, {
    use: 'create <name>', summary: 'Create a namespace', example: 'namespace create shop', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {raw} = await session.api.post('/namespaces', ResourceView, {}, {name, spec: {}});
      await session.output.one(raw, () => `namespace/${name} created\n`);
    },
  });
  leaf(namespace, host, {
    use: 'rm <name>', alias: 'delete', summary: 'Delete a namespace; refused while something is in it', example: 'namespace rm shop', args: oneArg, options: noOptions,
    async run(session, [name]) {
      await session.api.call('DELETE', path`/namespaces/${name}`, Anything);
      session.output.say(`namespace/${name} deleted`);
    },
  });
}
