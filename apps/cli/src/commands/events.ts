/** `hivemind events`: changes as they happen. */
import type {Command} from 'commander';
import * as z from 'zod';
import {serverEvents} from '../api/streams.ts';
import {type Host, leaf, noArgs} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'events', summary: 'Changes as they happen, until Ctrl-C', example: ['events', 'events --kind App,Container -n shop'],
    flags: [['--kind <kinds>', 'only of these kinds, separated by commas'], ['--name <name>', 'only of this name']],
    args: noArgs, options: z.object({kind: z.string().optional(), name: z.string().optional()}),
    async run(session, _args, {kind, name}) {
      const response = await session.api.open('GET', '/events', {query: {namespace: session.givenNamespace, kind, name}});
      for await (const change of serverEvents(response)) {
        if (session.output.structured) session.output.print(`${JSON.stringify(change)}\n`);
        else if (change.type === 'reset') session.output.note(change.message ?? 'Changes were missed.');
        else session.output.print(`${new Date(session.terminal.now()).toISOString()}  ${change.type.padEnd(7)}  ${change.kind.toLowerCase()}/${change.name}${change.namespace === undefined ? '' : `  ${change.namespace}`}\n`);
      }
    },
  });
}
