/** `hivemind down`: every container of this data dir's cluster is stopped and removed; volumes stay. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import {z} from 'zod';
import {path} from '../api/client.ts';
import {Anything, ResourceView} from '../api/views.ts';
import type {Session} from '../session.ts';
import {durationFlag, type Host, leaf, noArgs} from './define.ts';
import {waitForGone} from './wait.ts';

const Status = z.object({cluster: z.string()});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'down',
    summary: 'Stop and remove every container of this data dir\'s cluster, and their apps; volumes stay',
    example: ['down', 'down --data-dir /var/lib/hivemind'],
    flags: [['--docker-host <url>', 'the engine, where no server runs (default: DOCKER_HOST, else unix:///var/run/docker.sock)'], ['--timeout <duration>', 'how long to wait (default: 2m)']],
    args: noArgs,
    options: z.object({dockerHost: z.string().optional(), timeout: durationFlag.prefault('2m')}),
    async run(session, _args, {dockerHost, timeout}) {
      const {dataDir} = session;
      const cluster = await clusterOf(dataDir);
      const running = await runningCluster(session);
      // A server of another data dir is none of ours.
      if (running !== undefined && (cluster === undefined || cluster === running)) return downThroughServer(session, timeout);
      if (cluster === undefined) {
        session.output.say(`There is no cluster in ${dataDir}: nothing to do.`);
        return undefined;
      }
      const {downThroughEngine} = await import('../offline/down.ts');
      return downThroughEngine(session, {dataDir, cluster, dockerHost: dockerHost ?? (session.terminal.env.DOCKER_HOST || undefined)});
    },
  });
}

async function downThroughServer(session: Session, timeoutMs: number): Promise<void> {
  const {items} = await session.api.list('/apps', ResourceView, {namespace: '*'});
  for (const {name, namespace} of items) {
    try {
      await session.api.call('DELETE', path`/apps/${name}`, Anything, {query: {namespace}});
    } catch (error) {
      if (!isError(error) || error.status !== 404) throw error;
    }
  }
  await waitForGone(session, items, timeoutMs);
  session.output.say(items.length === 0 ? 'There is no app: nothing to remove.' : `Removed ${items.length} ${items.length === 1 ? 'app' : 'apps'} with all containers: ${items.map(({name, namespace}) => `${namespace}/${name}`).join(', ')}. Volumes stay.`);
}

/** Id of the cluster whose server answers; undefined when none does. */
async function runningCluster({api}: Session): Promise<string | undefined> {
  try {
    return (await api.get('/status', Status)).data.cluster;
  } catch (error) {
    if (isError(error, 'server-absent')) return undefined;
    throw error;
  }
}

async function clusterOf(dataDir: string): Promise<string | undefined> {
  const text = await readFile(join(dataDir, 'agent', 'cluster'), 'utf8').catch(() => '');
  return text.trim() || undefined;
}
