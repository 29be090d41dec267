/** `hivemind store …`: a cluster's store as a file, to keep or to move to another driver. The server must not run meanwhile. */
import {createReadStream, existsSync} from 'node:fs';
import {open, rename, rm} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import type {Command} from 'commander';
import {z} from 'zod';
import {cliErrors} from '../errors.ts';
import {dataDirOf, type Session} from '../session.ts';
import {exampleText, type Host, leaf, noOptions, oneArg} from './define.ts';

export function register(parent: Command, host: Host): void {
  const store = parent.command('store').description('The cluster\'s store as a file; stop the server first').addHelpText('after', exampleText(['store export backup.jsonl', 'store import backup.jsonl']));
  const pathOf = ({terminal}: Session): string => join(resolve(terminal.cwd, dataDirOf(z.object({dataDir: z.string().optional()}).parse(parent.opts()), terminal)), 'store.db');
  leaf(store, host, {
    use: 'export <file>', summary: 'Write the store to a file, mode 0600: it holds sealed secrets', example: 'store export backup.jsonl', args: oneArg, options: noOptions,
    async run(session, [file]) {
      const path = pathOf(session);
      if (!existsSync(path)) throw cliErrors.failed(`There is no store at ${path}`);
      const {exportStore, openSqliteStore} = await import('@hivemind/store');
      const source = await openSqliteStore({path});
      const target = resolve(session.terminal.cwd, file);
      const partial = `${target}.${process.pid}.part`;
      try {
        await using output = await open(partial, 'w', 0o600);
        for await (const line of exportStore(source)) await output.write(line);
        await output.sync();
        // Whole or not at all.
        await rename(partial, target);
      } finally {
        await rm(partial, {force: true});
        await source.close();
      }
      session.output.say(`store exported to ${target}`);
    },
  });
  leaf(store, host, {
    use: 'import <file>', summary: 'Read a file into the store. Nothing that runs is stopped until hivemind cluster adopt',
    example: ['store import backup.jsonl', 'store import backup.jsonl --replace'], flags: [['--replace', 'remove what the store holds first']],
    args: oneArg, options: z.object({replace: z.boolean().default(false)}),
    async run(session, [file], {replace}) {
      const source = resolve(session.terminal.cwd, file);
      if (!existsSync(source)) throw cliErrors.failed(`There is no file ${source}`);
      const {importStore, openSqliteStore} = await import('@hivemind/store');
      const target = await openSqliteStore({path: pathOf(session)});
      try {
        await importStore(target, createReadStream(source), {replace});
      } finally {
        await target.close();
      }
      session.output.say('store imported; start Hivemind, then run: hivemind cluster adopt');
    },
  });
}
