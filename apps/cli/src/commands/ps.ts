/** `hivemind ps`: containers. */
import type {Command} from 'commander';
import * as z from 'zod';
import type {Session} from '../session.ts';
import {type ContainerView, ContainerView as Container} from '../api/views.ts';
import {age} from '../output/quantities.ts';
import type {Column} from '../output/table.ts';
import {type Host, leaf, noArgs} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'ps',
    summary: 'List containers',
    example: ['ps', 'ps --app web -o wide', "ps -n '*'"],
    flags: [['--app <app>', 'only of this app'], ['--node <node>', 'only on this node'], ['--phase <phase>', 'only in this phase']],
    args: noArgs,
    options: z.object({app: z.string().optional(), node: z.string().optional(), phase: z.string().optional()}),
    async run(session, _args, options) {
      const {items, raw} = await session.api.list('/containers', Container, {namespace: session.namespace, ...options});
      await session.output.list(items, raw, containerColumns(session), `There is no container in ${namespaceText(session)}.`);
    },
  });
}

/** `namespace demo`, or how to see the others. */
export function namespaceText({namespace, givenNamespace}: Session): string {
  return namespace === '*' ? 'any namespace' : `namespace ${namespace}${givenNamespace === undefined ? " (-n '*' shows all)" : ''}`;
}

export function containerColumns({terminal, namespace}: Session): readonly Column<ContainerView>[] {
  return [
    ...(namespace === '*' ? [{title: 'NAMESPACE', value: (item: ContainerView) => item.namespace}] : []),
    {title: 'CONTAINER', value: ({name}) => name},
    {title: 'APP', value: ({spec}) => spec.app},
    {title: 'NODE', value: ({spec}) => spec.node},
    {title: 'STATUS', value: statusText},
    {title: 'READY', value: ({status}) => (status.ready ? 'yes' : 'no')},
    {title: 'RESTARTS', value: ({status}) => status.restarts},
    {title: 'PORTS', value: portsText},
    {title: 'AGE', value: ({meta}) => age(meta.createdAt, terminal.now())},
    {title: 'REVISION', value: ({spec}) => spec.revision, wide: true},
    {title: 'IP', value: ({status}) => status.ip ?? '-', wide: true},
    {title: 'IMAGE', value: ({spec}) => spec.image, wide: true},
    {title: 'MESSAGE', value: ({status}) => status.message, wide: true},
  ];
}

function statusText({status}: ContainerView): string {
  if (status.phase === 'exited' && status.exitCode !== undefined && status.reason === '') return `exited (${status.exitCode})`;
  return status.reason === '' ? status.phase : `${status.phase} (${status.reason})`;
}

function portsText({status}: ContainerView): string {
  const ports = status.ports.filter(({host}) => host !== undefined && host !== 0).map(({host, container, protocol, address}) => `${address === undefined || address === '0.0.0.0' ? '' : `${address}:`}${host}->${container}${protocol === 'tcp' ? '' : `/${protocol}`}`);
  return [...new Set(ports)].join(', ');
}
