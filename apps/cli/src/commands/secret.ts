/** `hivemind secret …`: values are written, never shown. */
import type {Command} from 'commander';
import {SecretView as Secret} from '../api/views.ts';
import {age} from '../output/quantities.ts';
import {registerData} from './data.ts';
import {exampleText, type Host, leaf, noArgs, noOptions} from './define.ts';
import {namespaceText} from './ps.ts';

export function register(parent: Command, host: Host): void {
  const secret = parent.command('secret').description('Secrets: values that are written and never shown').addHelpText('after', exampleText(['secret create db --from-file password=./password.txt', 'secret ls']));
  leaf(secret, host, {
    use: 'ls', alias: 'list', summary: 'List secrets and their keys', example: 'secret ls', args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/secrets', Secret, {namespace: session.namespace});
      await session.output.list(items, raw, [
        {title: 'SECRET', value: ({name}) => name},
        {title: 'KEYS', value: ({spec}) => spec.keys.join(', ')},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no secret in ${namespaceText(session)}.`);
    },
  });
  registerData(secret, host, 'secret');
}
