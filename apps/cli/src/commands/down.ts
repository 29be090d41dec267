/** `hivemind down`: every container of this data dir's cluster is stopped and removed; volumes stay. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, ContainerView as Container, ResourceView} from '../api/views.ts';
import type {Session} from '../session.ts';
import {engineAddressesOf, engineAddressFlags, engineAddressOptions} from './engine-flags.ts';
import {durationFlag, type Host, leaf, noArgs} from './define.ts';
import {waitForGone} from './wait.ts';

const Status = z.object({cluster: z.string(), adoption: z.object({held: z.boolean()}).default({held: false})});
const Identity = z.object({id: z.string()});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'down',
    summary: 'Stop and remove every container of this data dir\'s cluster, and their apps; volumes stay',
    example: ['down', 'down --data-dir /var/lib/hivemind'],
    flags: [...engineAddressFlags, ['--timeout <duration>', 'how long to wait (default: 2m)']],
    args: noArgs,
    options: z.object({...engineAddressOptions, timeout: durationFlag.prefault('2m')}),
    async run(session, _args, {timeout, ...engine}) {
      const cluster = await clusterOf(session.dataDir);
      const running = await runningServer(session);
      // A server of another data dir is none of ours.
      if (running !== undefined && (cluster === undefined || cluster === running.cluster)) return downThroughServer(session, running, timeout);
      const {downThroughEngine} = await import('../offline/down.ts');
      const {endSidecar} = await import('@hivemind/agent');
      await endSidecar(session.dataDir);
      return downThroughEngine(session, {cluster, engine: engineAddressesOf(engine, session.terminal.env)});
    },
  });
}

async function downThroughServer(session: Session, {cluster, adoption: {held}}: z.infer<typeof Status>, timeoutMs: number): Promise<void> {
  const {api, output} = session;
  // What is held for adoption is part of the cluster too, and nothing goes while it is held.
  if (held) await api.post('/cluster/adopt', Anything, {}, {mode: 'discard'});
  const {items: apps} = await api.list('/apps', ResourceView, {namespace: '*'});
  const {items: containers} = await api.list('/containers', Container, {namespace: '*'});
  for (const {name, namespace} of apps) {
    try {
      await api.call('DELETE', path`/apps/${name}`, Anything, {query: {namespace}});
    } catch (error) {
      if (!isError(error) || error.status !== 404) throw error;
    }
  }
  await waitForGone(session, apps, timeoutMs);
  const {tellOfNetwork} = await import('../offline/network.ts');
  await tellOfNetwork(cluster, session);
  output.say(summary(apps.map(({name, namespace}) => `${namespace}/${name}`), containers.length));
}

/** What was removed, in a line. */
export function summary(apps: readonly string[], containers: number): string {
  if (apps.length === 0 && containers === 0) return 'There is nothing to remove.';
  const count = (amount: number, what: string): string => `${amount} ${what}${amount === 1 ? '' : 's'}`;
  return `Removed ${count(containers, 'container')} of ${count(apps.length, 'app')}${apps.length === 0 ? '' : ` (${apps.join(', ')})`}. Volumes stay.`;
}

/** The server that answers; undefined when none does. */
async function runningServer({api}: Session): Promise<z.infer<typeof Status> | undefined> {
  try {
    return (await api.get('/status', Status)).data;
  } catch (error) {
    if (isError(error, 'server-absent')) return undefined;
    throw error;
  }
}

async function clusterOf(dataDir: string): Promise<string | undefined> {
  const text = await readFile(join(dataDir, 'cluster.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Identity.parse(JSON.parse(text)).id;
}
