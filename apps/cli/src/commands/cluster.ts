/** `hivemind cluster …`: after a store was lost or put back. */
import type {Command} from 'commander';
import {z} from 'zod';
import {exampleText, type Host, leaf, noArgs} from './define.ts';

const Adopted = z.looseObject({adopted: z.number().optional(), discarded: z.number().optional(), message: z.string().optional()});

export function register(parent: Command, host: Host): void {
  const cluster = parent.command('cluster').description('The cluster as a whole').addHelpText('after', exampleText('cluster adopt'));
  leaf(cluster, host, {
    use: 'adopt', summary: 'Take what runs on the machines into a store that was lost or put back; nothing was stopped meanwhile',
    example: ['cluster adopt', 'cluster adopt --discard'],
    flags: [['--discard', 'remove what the store does not know instead of keeping it']],
    args: noArgs, options: z.object({discard: z.boolean().default(false)}),
    async run(session, _args, {discard}) {
      const {data, raw} = await session.api.post('/cluster/adopt', Adopted, {}, {mode: discard ? 'discard' : 'keep'});
      const count = discard ? data.discarded : data.adopted;
      await session.output.one(raw, () => `${data.message ?? `${discard ? 'discarded' : 'adopted'}${count === undefined ? '' : `: ${count} containers`}`}\n`);
    },
  });
}
