/** `hivemind store …`: a cluster's store as a file, to keep or to move to another driver. The server must not run meanwhile. */
import {existsSync} from 'node:fs';
import {join, resolve} from 'node:path';
import type {Command} from 'commander';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import {exampleText, type Host, leaf, noOptions, oneArg} from './define.ts';

export function register(parent: Command, host: Host): void {
  const store = parent.command('store').description('The cluster\'s store as a file; stop the server first').addHelpText('after', exampleText(['store export backup.jsonl', 'store import backup.jsonl']));
  leaf(store, host, {
    use: 'export <file>', summary: 'Write the store to a file, mode 0600: it holds sealed secrets', example: 'store export backup.jsonl', args: oneArg, options: noOptions,
    async run({dataDir, output, terminal}, [file]) {
      const path = join(dataDir, 'store.db');
      if (!existsSync(path)) throw cliErrors.failed(`There is no store at ${path}`);
      const target = resolve(terminal.cwd, file);
      await (await import('../offline/transfer.ts')).exportTo(path, target);
      output.say(`store exported to ${target}`);
    },
  });
  leaf(store, host, {
    use: 'import <file>', summary: 'Read a file into the store. Nothing that runs is stopped until hivemind cluster adopt',
    example: ['store import backup.jsonl', 'store import backup.jsonl --replace'], flags: [['--replace', 'remove what the store holds first']],
    args: oneArg, options: z.object({replace: z.boolean().default(false)}),
    async run({dataDir, output, terminal}, [file], {replace}) {
      const source = resolve(terminal.cwd, file);
      if (!existsSync(source)) throw cliErrors.failed(`There is no file ${source}`);
      await (await import('../offline/transfer.ts')).importFrom(join(dataDir, 'store.db'), source, replace);
      output.say('store imported; start Hivemind, then run: hivemind cluster adopt');
    },
  });
}
