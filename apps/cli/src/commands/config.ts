/** `hivemind config …`: files for containers. */
import type {Command} from 'commander';
import {path} from '../api/client.ts';
import {ConfigView as Config} from '../api/views.ts';
import {age} from '../output/quantities.ts';
import {registerData} from './data.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';
import {namespaceText} from './ps.ts';

export function register(parent: Command, host: Host): void {
  const config = parent.command('config').description('Configs: files and values for containers').addHelpText('after', exampleText(['config create site --from-file ./nginx.conf', 'config ls']));
  leaf(config, host, {
    use: 'ls', alias: 'list', summary: 'List configs and their keys', example: 'config ls', args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/configs', Config, {namespace: session.namespace});
      await session.output.list(items, raw, [
        {title: 'CONFIG', value: ({name}) => name},
        {title: 'KEYS', value: ({spec}) => Object.keys(spec.data).join(', ')},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no config in ${namespaceText(session)}.`);
    },
  });
  leaf(config, host, {
    use: 'info <config>', summary: 'Its keys and values', example: 'config info site', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/configs/${name}`, Config, {namespace: session.namespace});
      await session.output.one(raw, () => Object.entries(data.spec.data).map(([key, value]) => `--- ${key}\n${value.endsWith('\n') ? value : `${value}\n`}`).join(''));
    },
  });
  registerData(config, host, 'config');
}
