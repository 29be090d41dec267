/** `hivemind volume …`. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, VolumeView as Volume} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import {age, bytes} from '../output/quantities.ts';
import {fields} from '../output/table.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';
import {namespaceText} from './ps.ts';

const Usage = z.object({bytes: z.number(), path: z.string().default('')});

export function register(parent: Command, host: Host): void {
  const volume = parent.command('volume').description('Volumes: data that outlives containers').addHelpText('after', exampleText(['volume ls', 'volume usage data']));
  leaf(volume, host, {
    use: 'ls', alias: 'list', summary: 'List volumes', example: ['volume ls', "volume ls -n '*'"], args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/volumes', Volume, {namespace: session.namespace});
      await session.output.list(items, raw, [
        ...(session.namespace === '*' ? [{title: 'NAMESPACE', value: (item: z.infer<typeof Volume>) => item.namespace}] : []),
        {title: 'VOLUME', value: ({name}) => name},
        {title: 'STATUS', value: ({status}) => status.phase},
        {title: 'NODE', value: ({status}) => status.node ?? '-'},
        {title: 'USED BY', value: ({status}) => status.usedBy.join(', ')},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no volume in ${namespaceText(session)}.`);
    },
  });
  leaf(volume, host, {
    use: 'info <volume>', summary: 'Everything about one volume', example: 'volume info data', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/volumes/${name}`, Volume, {namespace: session.namespace});
      await session.output.one(raw, () => fields([
        ['Name', data.name], ['Namespace', data.namespace], ['Driver', data.spec.driver], ['Status', data.status.message === undefined ? data.status.phase : `${data.status.phase}: ${data.status.message}`], ['Node', data.status.node], ['Used by', data.status.usedBy.join(', ')],
        ['Created', `${data.meta.createdAt} (${age(data.meta.createdAt, session.terminal.now())} ago)`],
      ]));
    },
  });
  leaf(volume, host, {
    use: 'usage <volume>', summary: 'How much it holds, and where', example: 'volume usage data', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/volumes/${name}/usage`, Usage, {namespace: session.namespace});
      await session.output.one(raw, () => fields([['Volume', name], ['Size', bytes(data.bytes)], ['Path', data.path]]));
    },
  });
  leaf(volume, host, {
    use: 'abandon <volume>', summary: 'Give up data on a machine that is dead or removed: its users begin anew, elsewhere and empty', example: 'volume abandon data --yes', args: oneArg,
    flags: [['--yes', 'the data may be lost for good']], options: z.object({yes: z.boolean().default(false)}),
    async run(session, [name], {yes}) {
      if (!yes) throw cliErrors['wrong-usage'](`the data of ${name} may be lost for good: say --yes`);
      const {raw} = await session.api.post(path`/volumes/${name}/abandon`, Volume, {namespace: session.namespace});
      await session.output.one(raw, () => `volume/${name} abandoned\n`);
    },
  });
  leaf(volume, host, {
    use: 'rm <volume...>', alias: 'delete', summary: 'Delete volumes and the data in them, for good; refused while one is used', example: 'volume rm data',
    args: z.tuple([z.array(z.string())]), options: noOptions,
    async run(session, [names]) {
      for (const name of names) {
        await session.api.call('DELETE', path`/volumes/${name}`, Anything, {query: {namespace: session.namespace}});
        session.output.say(`volume/${name} deleted`);
      }
    },
  });
}
