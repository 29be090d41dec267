/** Clusters that an engine still knows of a data dir, found by their containers' labels (law 12). */
import {engineLabels} from '@hivemind/contracts';
import {dataDirLabel} from '../worker/runtime-spec.ts';
import {asking, openEngine, type EngineAddress} from './engine.ts';

/**
 * Ids of the clusters whose containers were made for this data dir, those with most containers first.
 * @throws `runtime-unavailable` 503
 */
export async function earlierClusters(where: EngineAddress, dataDir: string): Promise<readonly string[]> {
  const engine = await openEngine(where);
  try {
    const found = await asking(engine, 'Looking for containers of an earlier life', () => engine.docker.listContainers({all: true, filters: {label: [`${dataDirLabel}=${dataDir}`]}}));
    const counts = new Map<string, number>();
    for (const {Labels} of found) {
      const cluster = Labels[engineLabels.cluster];
      if (cluster !== undefined) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
    }
    return [...counts].toSorted((a, b) => b[1] - a[1]).map(([cluster]) => cluster);
  } finally {
    engine.close();
  }
}
