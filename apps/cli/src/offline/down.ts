/** `hivemind down` where no server runs: through the engine, with the apps marked so that the next `up` brings none back. */
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import type {EngineOptions} from '@hivemind/agent';
import {collections, durationMs, EngineOrigin} from '@hivemind/contracts';
import type {Runtime, RuntimeContainer} from '@hivemind/runtime';
import {collection, openSqliteStore} from '@hivemind/store';
import {pino} from 'pino';
import {summary} from '../commands/down.ts';
import type {Session} from '../session.ts';

/** Containers stopped at a time: each may take its grace. */
const AT_ONCE = 16;
const DEFAULT_GRACE_MS = 10_000;

export interface OfflineCluster {
  /** Undefined when the data dir is gone: the engines then know which clusters were made for it. */
  readonly cluster: string | undefined;
  readonly engine: EngineOptions;
}

export async function downThroughEngine(session: Session, {cluster, engine}: OfflineCluster): Promise<void> {
  const {dataDir, output, terminal} = session;
  // First the intent, then the deed: a server that starts in between goes on with it.
  const apps = await markDeleted(join(dataDir, 'store.db'), terminal.now());
  const {earlierLives, likelyEngines, openRuntime} = await import('@hivemind/agent');
  let containers = 0;
  const whose = {node: 'local', logger: pino({level: 'silent'}), now: () => terminal.now()};
  const ids = cluster === undefined ? await earlierLives(engine, dataDir) : [cluster];
  for (const name of await likelyEngines(engine, dataDir)) {
    for (const id of ids) {
      const runtime = await openRuntime(name, engine, {...whose, cluster: id});
      try {
        containers += await removeAll(runtime, output);
      } finally {
        await runtime.close();
      }
    }
  }
  const {removeNetworkOf} = await import('./network.ts');
  await removeNetworkOf(ids, session);
  output.say(summary(apps, containers));
}

/** @returns how many there were */
async function removeAll(runtime: Runtime, output: Session['output']): Promise<number> {
  const containers = await runtime.list();
  const queue = [...containers];
  const work = async (): Promise<void> => {
    for (let container = queue.pop(); container !== undefined; container = queue.pop()) {
      const {signal, graceMs} = stopOf(container);
      if (container.state === 'running') await runtime.stop(container.runtimeId, signal, graceMs);
      await runtime.remove(container.runtimeId);
      output.note(`removed ${container.id}`);
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, work));
  await runtime.pruneNetworks();
  return containers.length;
}

/** @returns the apps there were, as `namespace/name` */
async function markDeleted(path: string, now: number): Promise<readonly string[]> {
  if (!existsSync(path)) return [];
  const store = await openSqliteStore({path});
  try {
    const apps = collection(collections.apps).in(store);
    const {items} = await apps.list();
    const deletedAt = new Date(now).toISOString();
    for (const {key} of items) await apps.update(key, (app) => (app === undefined || app.deletedAt !== undefined ? undefined : {...app, deletedAt}));
    return items.map(({key}) => key);
  } finally {
    await store.close();
  }
}

/** How the container was asked to be stopped, from the label it carries. */
function stopOf({labels}: RuntimeContainer): {readonly signal: string; readonly graceMs: number} {
  const origin = EngineOrigin.safeParse(parsed(labels['hivemind.origin'] ?? ''));
  if (!origin.success) return {signal: 'SIGTERM', graceMs: DEFAULT_GRACE_MS};
  const {signal, grace} = origin.data.container.template.stop;
  return {signal, graceMs: durationMs(grace)};
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
