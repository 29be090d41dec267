/** Whether a cluster that begins with this machine can have a network of its own. */
import {unableBecause} from '@hivemind/network/node';
import {type EngineOptions, likelyEngine} from './engine.ts';

/** Why this machine can have none; undefined where it can. Changes nothing. @param options undefined: where its containers are is nobody's to say */
export async function networklessBecause(options: EngineOptions | undefined, dataDir: string, cluster: string): Promise<string | undefined> {
  return unableBecause({cluster, engine: options && (await likelyEngine(options, dataDir)).address});
}
