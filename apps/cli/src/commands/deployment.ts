/** `hivemind deployment …`: rollouts. */
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {type DeploymentView, DeploymentView as Deployment} from '../api/views.ts';
import {age} from '../output/quantities.ts';
import {type Column, fields} from '../output/table.ts';
import type {Session} from '../session.ts';
import {exampleText, type Host, leaf, noArgs, noOptions, oneArg} from './define.ts';
import {namespaceText} from './ps.ts';

export function register(parent: Command, host: Host): void {
  const deployment = parent.command('deployment').description('Rollouts: how changes proceed. One is named by its id, or by its app for the current one').addHelpText('after', exampleText(['deployment ls', 'deployment pause web']));
  leaf(deployment, host, {
    use: 'ls', alias: 'list', summary: 'List rollouts', example: ['deployment ls', 'deployment ls --app web'], flags: [['--app <app>', 'only of this app']],
    args: noArgs, options: z.object({app: z.string().optional()}),
    async run(session, _args, {app}) {
      const {items, raw} = await session.api.list('/deployments', Deployment, {namespace: session.namespace, app});
      await session.output.list(items, raw, deploymentColumns(session), `There is no deployment in ${namespaceText(session)}.`);
    },
  });
  leaf(deployment, host, {
    use: 'info <deployment>', summary: 'Everything about one rollout', example: 'deployment info web', args: oneArg, options: noOptions,
    async run(session, [id]) {
      const {data, raw} = await session.api.get(path`/deployments/${id}`, Deployment, {namespace: session.namespace});
      await session.output.one(raw, () => deploymentText(data));
    },
  });
  for (const [action, summary] of [
    ['pause', 'Hold a rollout where it is'], ['resume', 'Go on with a paused or failed rollout'],
    ['rollback', 'Go back to the revision before'], ['abort', 'Give up a rollout under way and go back'],
  ] as const) {
    leaf(deployment, host, {
      use: `${action} <deployment>`, summary, example: `deployment ${action} web`, args: oneArg, options: noOptions,
      async run(session, [id]) {
        const {data, raw} = await session.api.post(`${path`/deployments/${id}`}/${action}`, Deployment, {namespace: session.namespace});
        await session.output.one(raw, () => `deployment/${data.name} ${data.status.phase}${data.status.message === '' ? '' : `: ${data.status.message}`}\n`);
      },
    });
  }
}

function deploymentColumns({terminal, namespace}: Session): readonly Column<DeploymentView>[] {
  return [
    ...(namespace === '*' ? [{title: 'NAMESPACE', value: (item: DeploymentView) => item.namespace}] : []),
    {title: 'DEPLOYMENT', value: ({name}) => name},
    {title: 'APP', value: ({spec}) => spec.app},
    {title: 'REVISION', value: ({spec}) => `${spec.previous === null ? '' : `${spec.previous} → `}${spec.revision}`},
    {title: 'STATUS', value: ({status}) => status.phase},
    {title: 'UPDATED', value: ({status}) => `${status.updated}/${status.desired}`},
    {title: 'STRATEGY', value: ({spec}) => spec.strategy},
    {title: 'AGE', value: ({status}) => age(status.startedAt, terminal.now())},
    {title: 'MESSAGE', value: ({status}) => status.message},
  ];
}

function deploymentText({name, namespace, spec, status}: DeploymentView): string {
  return fields([
    ['Name', name], ['Namespace', namespace], ['App', spec.app], ['Revision', `${spec.revision}${spec.previous === null ? ', its first' : `, after ${spec.previous}`}`],
    ['Strategy', spec.strategy], ['Status', status.phase], ['Reason', status.reason], ['Message', status.message],
    ['Replicas', `${status.desired} wanted, ${status.updated} updated, ${status.ready} ready`], ['Started', status.startedAt], ['Finished', status.finishedAt],
  ]);
}
