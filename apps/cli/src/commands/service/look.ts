/** `hivemind service ls|get|endpoints|resolve`: what apps are reached by, and who is behind it. */
import type {Command} from 'commander';
import type * as z from 'zod';
import {path} from '../../api/client.ts';
import {EndpointView, ResolutionView, ServiceView} from '../../api/views.ts';
import {age} from '../../output/quantities.ts';
import {fields, table} from '../../output/table.ts';
import {type Host, leaf, noArgs, noOptions, oneArg} from '../define.ts';
import {namespaceText} from '../ps.ts';

type Service = z.infer<typeof ServiceView>;

const portsText = (ports: Service['spec']['ports']): string => ports.map(({name, port, protocol}) => `${name === undefined ? '' : `${name}:`}${port}/${protocol}`).join(', ') || '-';
const readyText = ({status}: Service): string => `${status.endpoints.ready}/${status.endpoints.total}`;

export function registerLooks(service: Command, host: Host): void {
  leaf(service, host, {
    use: 'ls', alias: 'list', summary: 'List services', example: ['service ls', "service ls -n '*'"], args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/services', ServiceView, {namespace: session.namespace});
      await session.output.list(items, raw, [
        ...(session.namespace === '*' ? [{title: 'NAMESPACE', value: (item: Service) => item.namespace}] : []),
        {title: 'SERVICE', value: ({name}) => name},
        {title: 'STATUS', value: ({status}) => status.phase},
        {title: 'READY', value: readyText},
        {title: 'VIRTUAL IP', value: ({status}) => status.virtualIp ?? '-'},
        {title: 'PORTS', value: ({spec}) => portsText(spec.ports)},
        {title: 'DOMAIN', value: ({spec}) => spec.domain ?? '-'},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no service in ${namespaceText(session)}.`);
    },
  });
  leaf(service, host, {
    use: 'get <service>', alias: 'info', summary: 'Everything about one service', example: 'service get web', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/services/${name}`, ServiceView, {namespace: session.namespace});
      await session.output.one(raw, () => fields([
        ['Name', data.name], ['Namespace', data.namespace], ['Status', data.status.phase], ['Ready', readyText(data)], ['Virtual IP', data.status.virtualIp ?? (data.spec.headless ? 'none: headless' : 'none')], ['Ports', portsText(data.spec.ports)], ['Names', data.status.names.join(', ')],
        ...data.status.conditions.map(({reason, message}): [string, string] => [reason, message]),
        ['Created', `${data.meta.createdAt} (${age(data.meta.createdAt, session.terminal.now())} ago)`],
      ]));
    },
  });
  leaf(service, host, {
    use: 'endpoints <service>', summary: 'The containers behind a service', example: 'service endpoints web', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {items, raw} = await session.api.list(path`/services/${name}/endpoints`, EndpointView, {namespace: session.namespace});
      await session.output.list(items, raw, [
        {title: 'CONTAINER', value: ({name: container}) => container},
        {title: 'STATUS', value: ({status}) => status.reason},
        {title: 'ADDRESS', value: ({spec}) => spec.address},
        {title: 'PORTS', value: ({spec}) => portsText(spec.ports)},
        {title: 'NODE', value: ({spec}) => spec.node},
        {title: 'REVISION', value: ({spec}) => String(spec.revision)},
        {title: 'WEIGHT', value: ({spec}) => String(spec.weight)},
      ], `Nobody is behind ${name}.`);
    },
  });
  leaf(service, host, {
    use: 'resolve <service>', summary: 'What its names give, and why', example: 'service resolve web', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/services/${name}/resolve`, ResolutionView, {namespace: session.namespace});
      await session.output.one(raw, () => [
        table(data.answers, [{title: 'NAME', value: (one) => one.name}, {title: 'TYPE', value: ({type}) => type}, {title: 'GIVES', value: ({answer}) => answer.join(', ') || 'nothing'}, {title: 'BECAUSE', value: ({because}) => because}]),
        ...(data.endpoints.length === 0 ? [] : [table(data.endpoints, [{title: 'CONTAINER', value: ({container}) => container}, {title: 'NODE', value: ({node}) => node}, {title: 'ROTATION', value: ({inRotation}) => (inRotation ? 'in' : 'out')}, {title: 'BECAUSE', value: ({because}) => because}])]),
      ].join('\n'));
    },
  });
}
