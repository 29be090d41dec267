/** `hivemind policy …`: who may reach whom. */
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

const Rules = z.array(z.unknown()).default([]);
const Policy = ResourceView.extend({
  spec: z.looseObject({target: z.record(z.string(), z.unknown()), ingress: Rules, egress: Rules, isolate: z.boolean().default(false), mode: z.string()}),
  status: z.object({apps: z.array(z.string()), conditions: z.array(z.object({message: z.string()}))}),
  meta: z.looseObject({createdAt: z.string()}),
});
const Verdict = z.object({allowed: z.boolean(), message: z.string()});

export function register(parent: Command, host: Host): void {
  const policy = parent.command('policy').description('Network policies: who may reach whom').addHelpText('after', exampleText(['policy apply -f only-api.yaml', 'policy isolate -n shop', 'policy test web db:5432']));
  leaf(policy, host, {
    use: 'ls', alias: 'list', summary: 'List network policies', example: ['policy ls', "policy ls -n '*'"], args: noArgs, options: noOptions,
    async run(session) {
      const {items, raw} = await session.api.list('/network-policies', Policy, {namespace: session.namespace});
      await session.output.list(items, raw, [
        ...(session.namespace === '*' ? [{title: 'NAMESPACE', value: (item: z.infer<typeof Policy>) => item.namespace ?? ''}] : []),
        {title: 'POLICY', value: ({name}) => name},
        {title: 'TARGET', value: ({spec}) => targetText(spec.target)},
        {title: 'RULES', value: ({spec}) => rulesText(spec)},
        {title: 'MODE', value: ({spec}) => spec.mode},
        {title: 'APPS', value: ({status}) => status.apps.join(', ') || '-'},
        {title: 'AGE', value: ({meta}) => age(meta.createdAt, session.terminal.now())},
      ], `There is no network policy in ${namespaceText(session)}.`);
    },
  });
  leaf(policy, host, {
    use: 'get <policy>', alias: 'info', summary: 'Everything about one network policy', example: 'policy get only-api -o yaml', args: oneArg, options: noOptions,
    async run(session, [name]) {
      const {data, raw} = await session.api.get(path`/network-policies/${name}`, Policy, {namespace: session.namespace});
      await session.output.one(raw, () => fields([
        ['Name', data.name], ['Namespace', data.namespace], ['Target', targetText(data.spec.target)], ['Mode', data.spec.mode],
        ...data.spec.ingress.map((rule, index): [string, string] => [`Ingress ${index}`, JSON.stringify(rule)]),
        ...data.spec.egress.map((rule, index): [string, string] => [`Egress ${index}`, JSON.stringify(rule)]),
        ...(data.spec.isolate ? [['Isolate', 'what is not of the namespace may not reach it'] as [string, string]] : []),
        ['Apps', data.status.apps.join(', ') || 'none now'], ...data.status.conditions.map(({message}): [string, string] => ['Note', message]),
      ]));
    },
  });
  leaf(policy, host, {
    use: 'apply', summary: 'Create or replace network policies from a file', example: 'policy apply -f only-api.yaml', args: noArgs,
    flags: [['-f, --file <file>', 'YAML or JSON, - for standard input']], options: z.object({file: z.string().optional()}),
    async run(session, _, {file}) {
      if (file === undefined) throw cliErrors['wrong-usage']('say which file: -f FILE');
      for (const manifest of await manifestsOf(file, 'NetworkPolicy', session.terminal)) {
        const namespace = manifest.namespace ?? session.namespace;
        const {status} = await session.api.call('PUT', path`/network-policies/${manifest.name}`, Anything, {body: {...manifest, namespace}, query: {namespace}});
        session.output.say(`policy/${manifest.name} ${status === 201 ? 'created' : 'configured'}`);
      }
    },
  });
  leaf(policy, host, {
    use: 'isolate', summary: 'What is not of the namespace may not reach its containers', example: ['policy isolate -n shop', 'policy isolate -n shop --audit'], args: noArgs,
    flags: [['--audit', 'count and log what would be denied, and let it through']], options: z.object({audit: z.boolean().default(false)}),
    async run(session, _, {audit}) {
      const {namespace} = session;
      const {status, raw} = await session.api.call('PUT', path`/network-policies/isolate`, Anything, {body: {name: 'isolate', namespace, spec: {target: {all: true}, isolate: true, mode: audit ? 'audit' : 'enforce'}}, query: {namespace}});
      await session.output.one(raw, () => `policy/isolate ${status === 201 ? 'created' : 'configured'}\n`);
    },
  });
  leaf(policy, host, {
    use: 'rm <policy...>', alias: 'delete', summary: 'Delete network policies: what they denied is allowed', example: 'policy rm only-api', args: z.tuple([z.array(z.string())]), options: noOptions,
    async run(session, [names]) {
      for (const name of names) {
        await session.api.call('DELETE', path`/network-policies/${name}`, Anything, {query: {namespace: session.namespace}});
        session.output.say(`policy/${name} deleted`);
      }
    },
  });
  leaf(policy, host, {
    use: 'test <from> <to>', summary: 'Whether one may reach another, and which rule decides: [NAMESPACE/]APP or an address; exit status 1 where it may not',
    example: ['policy test web db:5432', 'policy test lab/probe shop/db:5432', 'policy test 192.0.2.9 web:53 --protocol udp'], args: z.tuple([z.string(), z.string()]),
    flags: [['--protocol <protocol>', 'tcp or udp (tcp)']], options: z.object({protocol: z.string().default('tcp')}),
    async run(session, [from, to], {protocol}) {
      const [, target = '', port] = /^(.*):(\d+)$/.exec(to) ?? [];
      if (port === undefined) throw cliErrors['wrong-usage'](`${to} has no port: write it as in ${to}:80`);
      const {data, raw} = await session.api.call('POST', '/network-policies/test', Verdict, {body: {from: partyOf(from), to: partyOf(target), port: Number(port), protocol}, query: {namespace: session.namespace}});
      await session.output.one(raw, () => `${data.message}\n`);
      if (!data.allowed) host.exit(1);
    },
  });
}

function partyOf(text: string): Readonly<Record<string, string>> {
  if (/^\d+(\.\d+){3}$/.test(text)) return {address: text};
  const [namespace = '', app] = text.split('/');
  return app === undefined ? {app: namespace} : {namespace, app};
}

function targetText(target: Readonly<Record<string, unknown>>): string {
  if (target.all === true) return 'all';
  return typeof target.app === 'string' ? target.app : Object.entries(target.labels ?? {}).map(([key, value]) => `${key}=${String(value)}`).join(',');
}

function rulesText({ingress, egress, isolate}: {readonly ingress: readonly unknown[]; readonly egress: readonly unknown[]; readonly isolate: boolean}): string {
  return [...(ingress.length > 0 ? [`${ingress.length} in`] : []), ...(egress.length > 0 ? [`${egress.length} out`] : []), ...(isolate ? ['isolate'] : [])].join(', ');
}
