/** `hivemind plan`: what applying would change. */
import type {Command} from 'commander';
import {path} from '../api/client.ts';
import {PlanView} from '../api/views.ts';
import {buildImages, withImage} from '../apply/build.ts';
import {fileFlags, FileOptions, kinds, readBundle} from '../apply/bundle.ts';
import {leftovers, readExisting} from '../apply/existing.ts';
import {printNotices} from '../apply/notices.ts';
import {previewLine, previewOf} from '../apply/preview.ts';
import {label} from './apply.ts';
import {type Host, leaf, noArgs} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'plan',
    summary: 'What applying a file would create, change and stop, and where; nothing is done',
    example: 'plan -f docker-compose.yml',
    flags: fileFlags,
    args: noArgs,
    options: FileOptions,
    async run(session, _args, options) {
      const bundle = await readBundle(session, options);
      printNotices(session, bundle.notices);
      const existing = await readExisting(session, bundle, kinds);
      const images = await buildImages(session, bundle.builds, 'none');
      const plans: unknown[] = [];
      const lines: string[] = [];
      for (const resource of bundle.resources) {
        if (resource.kind !== 'App') {
          lines.push(...[await previewLine(session, resource, existing)].filter((line) => line !== undefined));
          continue;
        }
        const {body} = await previewOf(session, withImage(resource, images), existing);
        const {data, raw} = await session.api.call('PUT', path`/apps/${resource.name}`, PlanView, {body, query: {namespace: resource.namespace, dryRun: true}});
        plans.push(raw);
        lines.push(...planLines(data));
      }
      for (const item of leftovers(bundle, existing)) lines.push(`- ${label(item)} is not in the file: apply --prune would delete it`);
      await session.output.one(plans, () => `${lines.join('\n')}\n`);
    },
  });
}

const signs: Readonly<Record<string, string>> = {create: '+', update: '~', scale: '~', delete: '-', none: '='};

/** One app's plan: what happens to it, which fields move, which containers come and go. */
export function planLines(plan: PlanView): readonly string[] {
  const how = plan.strategy === 'none' ? '' : `, ${plan.strategy}${plan.because === undefined ? '' : ` (${plan.because})`}`;
  const words: Readonly<Record<string, string>> = {create: 'would be created', update: 'would be changed', scale: 'would be scaled', delete: 'would be deleted', none: 'stays as it is'};
  return [
    `${signs[plan.action] ?? '~'} app/${plan.app} ${words[plan.action] ?? plan.action}${plan.action === 'none' ? '' : how}`,
    ...(plan.action === 'create' ? [] : plan.fields.map(({path: field, before, after}) => `    ${field}: ${shown(before)} → ${shown(after)}`)),
    ...plan.containers.filter(({action}) => action !== 'keep').map(({action, container, node, reason}) => `    ${action === 'create' ? '+' : '-'} container${container === undefined ? '' : ` ${container}`}${node === undefined ? '' : ` on ${node}`}${reason === undefined ? '' : `: ${reason}`}`),
    ...plan.refusals.map(({node, reason}) => `    ! ${node} would refuse: ${reason}`),
  ];
}

function shown(value: unknown): string {
  const text = value === undefined || value === null ? 'nothing' : JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

