/** Clusters that containerd still knows of a data dir, found by what their containers were made with (law 12). */
import {engineLabels} from '@hivemind/contracts';
import {dataDirLabel} from '../worker/runtime-spec.ts';
import {ContainerdClient} from './api/client.ts';
import {asking} from './errors.ts';
import {fromExtension} from './record.ts';

const ANSWER_MS = 10_000;

/**
 * Ids of the clusters whose containers were made for this data dir, those with most containers first.
 * @throws `runtime-unavailable` 503
 */
export async function earlierClusters(socketPath: string, dataDir: string): Promise<readonly string[]> {
  const client = new ContainerdClient(socketPath, 'hivemind');
  try {
    const counts = new Map<string, number>();
    await asking(socketPath, 'Looking for containers of an earlier life', async () => {
      const enough = AbortSignal.timeout(ANSWER_MS);
      for await (const {container} of client.stream('listContainers', {filters: []}, enough)) {
        const {[dataDirLabel]: dir, [engineLabels.cluster]: cluster} = (container && fromExtension(container))?.labels ?? {};
        if (dir === dataDir && cluster !== undefined) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
      }
      enough.throwIfAborted();
    });
    return [...counts].toSorted((a, b) => b[1] - a[1]).map(([cluster]) => cluster);
  } finally {
    client.close();
  }
}
