/** `hivemind cluster …`: after a store was lost or put back. */
import type {Command} from 'commander';
import * as z from 'zod';
import {exampleText, type Host, leaf, noArgs} from './define.ts';

const Skipped = z.object({id: z.string(), reason: z.string()});
const Adopted = z.object({adopted: z.array(z.string()).default([]), discarded: z.array(z.string()).default([]), skipped: z.array(Skipped).default([])});

export function register(parent: Command, host: Host): void {
  const cluster = parent.command('cluster').description('The cluster as a whole').addHelpText('after', exampleText('cluster adopt'));
  leaf(cluster, host, {
    use: 'adopt', summary: 'Take what runs on the machines into a store that was lost or put back; nothing was stopped meanwhile',
    example: ['cluster adopt', 'cluster adopt --discard'],
    flags: [['--discard', 'remove what the store does not know instead of keeping it']],
    args: noArgs, options: z.object({discard: z.boolean().default(false)}),
    async run(session, _args, {discard}) {
      const {data, raw} = await session.api.post('/cluster/adopt', Adopted, {}, {mode: discard ? 'discard' : 'keep'});
      const listed = (ids: readonly string[]): string => (ids.length === 0 ? 'nothing' : `${ids.length} ${ids.length === 1 ? 'container' : 'containers'}: ${ids.join(', ')}`);
      await session.output.one(raw, () => `${discard ? `discarded ${listed(data.discarded)}` : `adopted ${listed(data.adopted)}`}\n`);
      for (const {id, reason} of data.skipped) session.output.note(`${id} cannot be adopted: ${reason}. It runs on; cluster adopt --discard removes it.`);
      return data.skipped.length === 0 ? 0 : 1;
    },
  });
}
