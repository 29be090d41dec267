/** `hivemind ingress …`: which requests from outside go to which app. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, ResourceView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import {age} from '../output/quantities.ts';
import {fields} from '../output/table.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';
import {manifestsOf} from './manifests.ts';
import {namespaceText} from './ps.ts';

const Rule = z.looseObject({host: z.string().optional(), path: z.string(), match: z.string(), app: z.string(), port: z.union([z.string(), z.number()]).optional()});
const Ingress = ResourceView.extend({
  spec: z.looseObject({rules: z.array(Rule), listen: z.object({http: z.union([z.number(), z.literal(false)]), https: z.number()}), tls: z.array(z.record(z.string(), z.string()))}),
  status: z.object({phase: z.string(), nodes: z.array(z.string()), conditions: z.array(z.object({message: z.string()}))}),
  meta: z.looseObject({createdAt: z.string()}),
});
const Machines = z.object({items: z.array(z.object({node: z.string(), state: z.string(), running: z.boolean(), problem: z.string()}))});
type Ingress = z.infer<typeof Ingress>;

export function register(parent: Command, host: Host): void {
  const ingress = parent.command('ingress').description('Ingress: which requests from outside go to which app').addHelpText('after', exampleText(['ingress apply -f shop.yaml', 'ingress ls', 'ingress get shop']));
  leaf(ingress, host, {
    use: 'ls', alias: 'list', summary: 'List ingresses', example: ['ingress ls', "ingress ls -n '*'"], args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/ingresses', Ingress, {namespace: session.namespace});
      await session.output.list(items, raw, [
        ...(session.namespace === '*' ? [{title: 'NAMESPACE', value: (item: Ingress) => item.namespace ?? ''}] : []),
        {title: 'INGRESS', value: ({name}) => name},
        {title: 'RULES', value: ({spec}) => spec.rules.map(({host: name = '*', path: at, app}) => `${name}${at}→${app}`).join(' ')},
        {title: 'PORTS', value: ({spec}) => portsText(spec)},
        {title: 'PHASE', value: ({status}) => status.phase},
        {title: 'NODES', value: ({status}) => status.nodes.join(',') || '-'},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no ingress in ${namespaceText(session)}.`);
    },
  });
  leaf(ingress, host, {
    use: 'get <ingress>', alias: 'info', summary: 'Everything about one ingress, and how each machine that takes it fares', example: 'ingress get shop', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const query = {namespace: session.namespace};
      const {data, raw} = await session.api.get(path`/ingresses/${name}`, Ingress, query);
      const {data: machines} = await session.api.get(path`/ingresses/${name}/nodes`, Machines, query);
      await session.output.one(raw, () => fields([
        ['Name', data.name], ['Namespace', data.namespace], ['Ports', portsText(data.spec)], ['Phase', data.status.phase],
        ...data.spec.rules.map(({host: rule = '*', path: at, match, app, port}, index): [string, string] => [`Rule ${index}`, `${rule}${at}${match === 'exact' ? ' exactly' : ''} → ${app}${port === undefined ? '' : `:${port}`}`]),
        ...data.status.conditions.map(({message}): [string, string] => ['Note', message]),
        ...machines.items.map(({node, state, running, problem}): [string, string] => [`Node ${node}`, `${state}, HAProxy ${running ? 'runs' : 'does not run'}${problem === '' ? '' : `: ${problem}`}`]),
      ]));
    },
  });
  leaf(ingress, host, {
    use: 'apply', summary: 'Create or replace ingresses from a file', example: ['ingress apply -f shop.yaml', 'ingress apply -f shop.yaml --dry-run'], args: noArgs,
    flags: [['-f, --file <file>', 'YAML or JSON, - for standard input'], ['--dry-run', 'say what it would do, and do nothing']], options: z.object({file: z.string().optional(), dryRun: z.boolean().default(false)}),
    async run(session, _, {file, dryRun}) {
      if (file === undefined) throw cliErrors['wrong-usage']('say which file: -f FILE');
      for (const manifest of await manifestsOf(file, 'Ingress', session.terminal)) {
        const namespace = manifest.namespace ?? session.namespace;
        const {status, raw} = await session.api.call('PUT', path`/ingresses/${manifest.name}`, Anything, {body: {...manifest, namespace}, query: {namespace, ...(dryRun ? {dryRun: 'true'} : {})}});
        if (dryRun) await session.output.one(raw, () => `ingress/${manifest.name}: ${Plan.parse(raw).action}, on ${Plan.parse(raw).nodes.join(', ') || 'no machine'}\n`);
        else session.output.say(`ingress/${manifest.name} ${status === 201 ? 'created' : 'configured'}`);
      }
    },
  });
  leaf(ingress, host, {
    use: 'rm <ingress...>', alias: 'delete', summary: 'Delete ingresses: their requests are taken no more', example: 'ingress rm shop', args: z.tuple([z.array(z.string())]), options: noOptions,
    async run(session, [names]) {
      for (const name of names) {
        await session.api.call('DELETE', path`/ingresses/${name}`, Anything, {query: {namespace: session.namespace}});
        session.output.say(`ingress/${name} deleted`);
      }
    },
  });
}

const Plan = z.looseObject({action: z.string(), nodes: z.array(z.string())});

function portsText({listen: {http, https}, tls}: Ingress['spec']): string {
  return [...(http === false ? [] : [`${http}`]), ...(tls.length > 0 ? [`${https} (https)`] : [])].join(', ');
}
