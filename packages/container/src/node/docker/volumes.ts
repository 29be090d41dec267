/** Named volumes: how full they are, and removing one. */
import {json} from 'node:stream/consumers';
import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors, type Runtime} from '@hivemind/runtime';
import * as z from 'zod';
import {asking, type Engine} from './engine.ts';
import {isStatus} from './errors.ts';

const Volume = z.object({Name: z.string(), Mountpoint: z.string(), Labels: z.record(z.string(), z.string()).nullish()});
const Usage = z.object({Volumes: z.array(Volume.extend({UsageData: z.object({Size: z.number()}).nullish()})).nullish()});

export async function volumeUsage(engine: Engine, names: readonly string[]): ReturnType<Runtime['volumeUsage']> {
  const wanted = new Set(names);
  // Engines before API 1.42 measure images too, whatever they are asked for.
  const call = {method: 'GET', path: '/system/df', query: {type: 'volume'}} as const;
  const answer = Usage.parse(await asking(engine, 'Measuring volumes', async () => json(await engine.stream(call))));
  return (answer.Volumes ?? [])
    .filter(({Name}) => wanted.has(Name))
    .map(({Name, Mountpoint, UsageData}) => ({name: Name, path: Mountpoint, bytes: Math.max(0, UsageData?.Size ?? 0)}));
}

/** @throws `runtime-conflict` when a container has it, or when it is not the cluster's */
export async function removeVolume(engine: Engine, cluster: string, name: string): Promise<void> {
  const volume = engine.docker.getVolume(name);
  await asking(engine, `Removing the volume ${name}`, async () => {
    try {
      const {Labels} = Volume.parse(await volume.inspect());
      if (Labels?.[engineLabels.cluster] !== cluster) throw runtimeErrors['runtime-conflict'](`The volume ${name} was not made by this cluster, so it is left alone.`);
      await volume.remove();
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  });
}
