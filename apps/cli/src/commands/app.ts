/** `hivemind app …`: everything about one app, or all of them. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {type AppView, AppView as App, Anything, ContainerView as Container, RevisionView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import {age} from '../output/quantities.ts';
import {type Column, fields, table} from '../output/table.ts';
import type {Session} from '../session.ts';
import {durationFlag, exampleText, type Host, leaf, noArgs, noOptions, oneArg, wholeNumber} from './define.ts';
import {logFlags, LogOptions, printLogs} from './logs.ts';
import {containerColumns, namespaceText} from './ps.ts';
import {waitForApps, waitForGone} from './wait.ts';

const waitFlags = [['--wait', 'wait until it is done, and say why if it fails'], ['--timeout <duration>', 'how long to wait (default: 5m)']] as const;
export const WaitOptions = z.object({wait: z.boolean().default(false), timeout: durationFlag.prefault('5m')});

export function register(parent: Command, host: Host): void {
  const app = parent.command('app').description('Apps: what should run').addHelpText('after', exampleText(['app deploy --name web --image nginx:1.29 --replicas 2 --port 80 --wait', 'app ls']));
  registerDeploy(app, host);
  registerReads(app, host);
  registerActions(app, host);
}

function registerDeploy(app: Command, host: Host): void {
  leaf(app, host, {
    use: 'deploy',
    summary: 'Create or replace an app',
    example: 'app deploy --name web --image nginx:1.29 --replicas 3 --port 80 --host-port 8080 --env MODE=prod --memory 64Mi --wait',
    flags: [
      ['--name <name>', 'name of the app'], ['--image <image>', 'image to run'], ['--replicas <count>', 'how many (default: 1)'],
      ['--port <port>', 'port of the container to publish, /udp at the end where it is not TCP', 'repeat'],
      ['--host-port <port>', 'port of the machine for it, in the order of --port (default: any free one)', 'repeat'],
      ['--env <KEY=VALUE>', 'variable', 'repeat'], ['--volume <NAME:/PATH>', 'named volume, or /DIR:/PATH of the machine; :ro at the end for read only', 'repeat'],
      ['--cpu <cores>', 'CPU to reserve, as in 0.25'], ['--memory <size>', 'memory to reserve and limit to, as in 64Mi'],
      ['--label <KEY=VALUE>', 'label of the app', 'repeat'], ...waitFlags,
    ],
    args: noArgs,
    options: WaitOptions.extend({
      name: z.string('is needed'), image: z.string('is needed'), replicas: wholeNumber.optional(),
      port: z.array(z.string()).default([]), hostPort: z.array(wholeNumber).default([]), env: z.array(z.string()).default([]), volume: z.array(z.string()).default([]),
      cpu: z.string().optional(), memory: z.string().optional(), label: z.array(z.string()).default([]),
    }),
    async run(session, _args, options) {
      const body = {name: options.name, namespace: session.namespace, labels: pairs(options.label, '--label'), spec: deploySpec(options)};
      const {status, data, raw} = await session.api.call('PUT', path`/apps/${options.name}`, App, {body, query: {namespace: session.namespace}});
      await session.output.one(raw, () => `app/${data.name} ${status === 201 ? 'created' : 'configured'}\n`);
      if (options.wait) await waitForApps(session, [{namespace: session.namespace, name: data.name}], options.timeout);
    },
  });
}

interface DeployFlags {
  readonly image: string;
  readonly replicas?: number | undefined;
  readonly port: readonly string[];
  readonly hostPort: readonly number[];
  readonly env: readonly string[];
  readonly volume: readonly string[];
  readonly cpu?: string | undefined;
  readonly memory?: string | undefined;
}

function deploySpec({image, replicas, port, hostPort, env, volume, cpu, memory}: DeployFlags): Record<string, unknown> {
  if (hostPort.length > port.length) throw cliErrors['wrong-usage']('--host-port is given more often than --port');
  return {
    image,
    ...(replicas === undefined ? {} : {replicas}),
    env: pairs(env, '--env'),
    ports: port.map((text, index) => {
      const [, number, protocol = 'tcp'] = /^(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
      if (number === undefined) throw cliErrors['wrong-usage'](`--port ${text} is not a port: write it as in 80 or 53/udp`);
      return {container: Number(number), protocol, host: hostPort[index] ?? 0};
    }),
    volumes: volume.map((text) => {
      const [source = '', mount, option] = text.split(':');
      if (mount === undefined || (option !== undefined && option !== 'ro')) throw cliErrors['wrong-usage'](`--volume ${text} is not a volume: write it as in data:/var/lib/data`);
      return {...(source.startsWith('/') ? {host: source} : {name: source}), mount, ...(option === 'ro' ? {readOnly: true} : {})};
    }),
    resources: {...(cpu === undefined ? {} : {cpu}), ...(memory === undefined ? {} : {memory, memoryLimit: memory})},
  };
}

/** `KEY=VALUE` flags as an object. */
export function pairs(texts: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const equals = text.indexOf('=');
    if (equals < 1) throw cliErrors['wrong-usage'](`${flag} ${text} is not KEY=VALUE`);
    return [text.slice(0, equals), text.slice(equals + 1)];
  }));
}

function registerReads(app: Command, host: Host): void {
  leaf(app, host, {
    use: 'ls', alias: 'list', summary: 'List apps', example: ['app ls', "app ls -n '*'"],
    flags: [['-l, --selector <labels>', 'only with these labels, as in tier=web']],
    args: noArgs,
    options: z.object({selector: z.string().optional()}),
    async run(session, _args, {selector}) {
      const {items, raw} = await session.api.list('/apps', App, {namespace: session.namespace, labelSelector: selector});
      await session.output.list(items, raw, appColumns(session), `There is no app in ${namespaceText(session)}.`);
    },
  });
  leaf(app, host, {
    use: 'info <app>', summary: 'Everything about one app', example: 'app info web', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/apps/${name}`, App, {namespace: session.namespace});
      const {items} = session.output.structured ? {items: []} : await session.api.list('/containers', Container, {namespace: session.namespace, app: name});
      await session.output.one(raw, () => appText(data, session) + (items.length === 0 ? '' : `\n${table(items, containerColumns(session).filter(({wide}) => wide !== true))}`));
    },
  });
  leaf(app, host, {
    use: 'history <app>', summary: 'Its revisions, newest first', example: 'app history web', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {items, raw} = await session.api.list(path`/apps/${name}/revisions`, RevisionView, {namespace: session.namespace, limit: undefined});
      await session.output.list(items, raw, [
        {title: 'REVISION', value: ({revision, current}) => `${revision}${current ? ' (current)' : ''}`},
        {title: 'AGE', value: ({createdAt}) => age(createdAt, session.terminal.now())},
        {title: 'CAUSE', value: ({cause}) => cause},
        {title: 'IMAGE', value: ({image}) => image},
      ], 'It has no revision.');
    },
  });
  leaf(app, host, {
    use: 'logs <app>', summary: 'What all its containers print', example: ['app logs web -f', 'app logs web --tail 100 --since 10m'],
    flags: logFlags, args: oneArg, options: LogOptions,
    async run(session, [name], options) {
      await printLogs(session, path`/apps/${name}/logs`, {namespace: session.namespace}, options, true);
    },
  });
}

function registerActions(app: Command, host: Host): void {
  leaf(app, host, {
    use: 'scale <app> <replicas>', summary: 'Set how many containers it has', example: 'app scale web 5 --wait', flags: waitFlags,
    args: z.tuple([z.string(), wholeNumber]), options: WaitOptions,
    async run(session, [name, replicas], options) {
      await act(session, name, 'scale', {replicas}, `scaled to ${replicas}`, options);
    },
  });
  for (const [action, summary, done] of [
    ['restart', 'Replace its containers, as its update strategy says', 'restarting'],
    ['stop', 'Stop its containers; the app stays', 'stopping'],
    ['start', 'Start it again after a stop', 'starting'],
  ] as const) {
    leaf(app, host, {
      use: `${action} <app>`, summary, example: `app ${action} web`, flags: waitFlags, args: oneArg, options: WaitOptions,
      async run(session, [name], options) {
        await act(session, name, action, undefined, done, options);
      },
    });
  }
  leaf(app, host, {
    use: 'rollback <app>', summary: 'Go back to an earlier revision', example: ['app rollback web', 'app rollback web --revision 3 --wait'],
    flags: [['--revision <number>', 'which one (default: the one before)'], ...waitFlags],
    args: oneArg, options: WaitOptions.extend({revision: wholeNumber.optional()}),
    async run(session, [name], options) {
      const body = options.revision === undefined ? {} : {revision: options.revision};
      await act(session, name, 'rollback', body, `rolling back to ${options.revision === undefined ? 'the revision before' : `revision ${options.revision}`}`, options);
    },
  });
  leaf(app, host, {
    use: 'rm <app...>', alias: 'delete', summary: 'Delete apps and their containers; volumes stay', example: 'app rm web', flags: waitFlags,
    args: z.tuple([z.array(z.string())]), options: WaitOptions,
    async run(session, [names], options) {
      for (const name of names) {
        await session.api.call('DELETE', path`/apps/${name}`, Anything, {query: {namespace: session.namespace}});
        session.output.say(`app/${name} deleted`);
      }
      if (options.wait) await waitForGone(session, names.map((name) => ({namespace: session.namespace, name})), options.timeout);
    },
  });
}

async function act(session: Session, name: string, action: string, body: unknown, done: string, options: z.output<typeof WaitOptions>): Promise<void> {
  const {data, raw} = await session.api.post(`${path`/apps/${name}`}/${action}`, App, {namespace: session.namespace}, body);
  await session.output.one(raw, () => `app/${data.name} ${done}\n`);
  if (options.wait) await waitForApps(session, [{namespace: session.namespace, name}], options.timeout);
}

function appColumns({terminal, namespace}: Session): readonly Column<AppView>[] {
  return [
    ...(namespace === '*' ? [{title: 'NAMESPACE', value: (item: AppView) => item.namespace}] : []),
    {title: 'APP', value: ({name}) => name},
    {title: 'STATUS', value: ({status}) => status.phase},
    {title: 'READY', value: ({status}) => `${status.replicas.ready}/${status.replicas.desired}`},
    {title: 'IMAGE', value: ({spec}) => spec.image},
    {title: 'ENDPOINTS', value: ({status}) => endpointsText(status.endpoints)},
    {title: 'REVISION', value: ({status}) => status.revision},
    {title: 'AGE', value: ({meta}) => age(meta.createdAt, terminal.now())},
    {title: 'MODE', value: ({spec}) => spec.mode, wide: true},
    {title: 'MESSAGE', value: ({status}) => status.conditions.find(({type, status: holds}) => (type === 'Failing') === (holds === 'true'))?.message ?? '', wide: true},
  ];
}

function endpointsText(endpoints: AppView['status']['endpoints']): string {
  const all = [...new Set(endpoints.map(({address, port}) => `${address.includes(':') ? `[${address}]` : address}:${port}`))];
  return all.length <= 3 ? all.join(', ') : `${all.slice(0, 3).join(', ')}, … (${all.length})`;
}

function appText(app: AppView, {terminal}: Session): string {
  const {spec, status, meta} = app;
  const labels = Object.entries(app.labels).map(([key, value]) => `${key}=${value}`).join(', ');
  const head = fields([
    ['Name', app.name], ['Namespace', app.namespace], ['Labels', labels], ['Status', status.phase], ['Image', spec.image], ['Mode', spec.mode],
    ['Replicas', `${status.replicas.desired} wanted, ${status.replicas.running} running, ${status.replicas.ready} ready, ${status.replicas.updated} of revision ${status.revision}`],
    ['Endpoints', status.endpoints.map(({address, port, node}) => `${address}:${port} (${node})`).join(', ')],
    ['Created', `${meta.createdAt} (${age(meta.createdAt, terminal.now())} ago)`],
  ]);
  const conditions = table(status.conditions, [
    {title: 'CONDITION', value: ({type}) => type}, {title: 'STATUS', value: ({status: holds}) => holds}, {title: 'REASON', value: ({reason}) => reason}, {title: 'MESSAGE', value: ({message}) => message},
  ]);
  return status.conditions.length === 0 ? head : `${head}\n${conditions}`;
}
