/** `hivemind exec` and `hivemind attach`. */
import type {Command} from 'commander';
import * as z from 'zod';
import {runInContainer} from '../api/exec.ts';
import {type Flag, type Host, leaf} from './define.ts';
import {containerFor} from './logs.ts';

const flags: readonly Flag[] = [
  ['-i, --interactive', 'pass standard input on (default: when it is a terminal)'],
  ['-t, --tty', 'with a terminal (default: when this is one)'],
  ['-T, --no-tty', 'without a terminal'],
];
const ExecOptions = z.object({interactive: z.boolean().optional(), tty: z.boolean().optional()});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'exec <name> [command...]',
    summary: 'Run a command in a container, or in the first ready container of an app',
    example: ['exec web -- sh', 'exec web-x7k2p -- ls -l /data', 'exec db -u postgres -- psql', 'exec -i db -- psql < dump.sql'],
    flags: [...flags, ['-e, --env <KEY=VALUE>', 'variable', 'repeat'], ['-u, --user <user>', 'run as this user'], ['-w, --workdir <dir>', 'in this directory']],
    args: z.tuple([z.string(), z.array(z.string()).min(1, 'is needed: exec NAME -- COMMAND')]),
    options: ExecOptions.extend({env: z.array(z.string()).default([]), user: z.string().optional(), workdir: z.string().optional()}),
    async run(session, [name, command], {interactive, tty, ...rest}) {
      const {terminal} = session;
      const bothTerminals = terminal.in.isTTY === true && terminal.out.isTTY === true;
      return runInContainer(session, await containerFor(session, name), {command, tty: tty ?? bothTerminals, stdin: interactive ?? terminal.in.isTTY === true, ...rest});
    },
  });
  leaf(parent, host, {
    use: 'attach <name>',
    summary: 'Connect to the main process of a container; ctrl-p ctrl-q lets go of it',
    example: 'attach web-x7k2p',
    flags: flags.slice(0, 1),
    args: z.tuple([z.string()]),
    options: ExecOptions,
    async run(session, [name], {interactive}) {
      return runInContainer(session, await containerFor(session, name), {attach: true, tty: false, stdin: interactive ?? false});
    },
  });
}
