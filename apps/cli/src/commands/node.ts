/** `hivemind node …`: machines. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {type NodeView, NodeView as Node} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import {age, bytes, cores} from '../output/quantities.ts';
import {type Column, fields} from '../output/table.ts';
import type {Session} from '../session.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';
import {registerJoinToken} from './node-join.ts';
import {registerLife} from './node-life.ts';

export function register(parent: Command, host: Host): void {
  const node = parent.command('node').description('Machines').addHelpText('after', exampleText(['node ls', 'node label n1 disk=ssd', 'node drain n1 --wait', 'node join-token']));
  registerJoinToken(node, host);
  leaf(node, host, {
    use: 'ls', alias: 'list', summary: 'List machines', example: 'node ls -o wide', args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/nodes', Node);
      await session.output.list(items, raw, nodeColumns(session), 'There is no node.');
    },
  });
  leaf(node, host, {
    use: 'info <node>', summary: 'Everything about one machine', example: 'node info n1', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/nodes/${name}`, Node);
      await session.output.one(raw, () => nodeText(data, session));
    },
  });
  for (const [action, summary, done] of [['cordon', 'Place no new container on it; those it has run on', 'cordoned'], ['uncordon', 'Place containers on it again; calls off a drain or maintenance', 'uncordoned']] as const) {
    leaf(node, host, {
      use: `${action} <node>`, summary, example: `node ${action} n1`, args: oneArg, options: noOptions,
      async run(session, [name]) {
        const {raw} = await session.api.post(`${path`/nodes/${name}`}/${action}`, Node);
        await session.output.one(raw, () => `node/${name} ${done}\n`);
      },
    });
  }
  leaf(node, host, {
    use: 'label <node> <labels...>', summary: 'Set labels; KEY- removes one', example: ['node label n1 disk=ssd zone=a', 'node label n1 disk-'],
    args: z.tuple([z.string(), z.array(z.string())]), options: noOptions,
    async run(session, [name, texts]) {
      const labels = Object.fromEntries(texts.map((text): [string, string | null] => {
        const equals = text.indexOf('=');
        if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
        if (equals === -1 && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), null];
        throw cliErrors['wrong-usage'](`${text} is neither KEY=VALUE nor KEY-`);
      }));
      const {raw} = await session.api.call('PATCH', path`/nodes/${name}/labels`, Node, {body: labels});
      await session.output.one(raw, () => `node/${name} labelled\n`);
    },
  });
  registerLife(node, host);
}

function phase({spec, status}: NodeView): string {
  return `${status.phase}${spec.unschedulable ? ', cordoned' : ''}`;
}

function nodeColumns({terminal}: Session): readonly Column<NodeView>[] {
  return [
    {title: 'NODE', value: ({name}) => name},
    {title: 'STATUS', value: phase},
    {title: 'CONTAINERS', value: ({status}) => status.allocated?.containers ?? '-'},
    {title: 'CPU', value: ({status}) => `${cores(status.allocated?.cpu ?? 0)} of ${cores(status.capacity.cpu)}`},
    {title: 'MEMORY', value: ({status}) => `${bytes(status.allocated?.memory ?? 0)} of ${bytes(status.capacity.memory)}`},
    {title: 'ENGINE', value: ({status}) => `${status.runtime.name} ${status.runtime.version}${status.runtime.available ? '' : ' (away)'}`},
    {title: 'AGE', value: ({meta}) => age(meta.createdAt, terminal.now())},
    {title: 'ADDRESS', value: ({spec}) => spec.address, wide: true},
    {title: 'LABELS', value: ({labels}) => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(','), wide: true},
  ];
}

function nodeText(node: NodeView, {terminal}: Session): string {
  const {status, spec, meta} = node;
  return fields([
    ['Name', node.name], ['Status', phase(node)], ['Address', spec.address],
    ['Labels', Object.entries(node.labels).map(([key, value]) => `${key}=${value}`).join(', ')],
    ['Engine', `${status.runtime.name} ${status.runtime.version}${status.runtime.available ? '' : `, which does not answer: ${status.runtime.message ?? ''}`}`],
    ['Agent', status.agentVersion],
    ['CPU', `${cores(status.capacity.cpu)} cores, ${cores(status.allocated?.cpu ?? 0)} promised`],
    ['Memory', `${bytes(status.capacity.memory)}, ${bytes(status.allocated?.memory ?? 0)} promised`],
    ['Disk', status.capacity.disk > 0 ? `${bytes(status.capacity.disk)}${status.capacity.diskFree === undefined ? '' : `, ${bytes(status.capacity.diskFree)} free`}` : undefined],
    ['Taints', spec.taints.map(({key, value, effect}) => `${key}${value === undefined ? '' : `=${value}`}:${effect}`).join(', ') || undefined],
    ['Containers', status.allocated?.containers],
    ['Last seen', `${age(status.lastSeenAt, terminal.now())} ago`],
    ['Created', `${meta.createdAt} (${age(meta.createdAt, terminal.now())} ago)`],
    ...status.conditions.map(({type, status: holds, message}) => [type, `${holds}: ${message}`] as const),
  ]);
}
