/** The output of containers of containerd, read here while there is no agent that does. The driver is loaded only then. */
import type {LogStandby, LogStandbyOptions} from '@hivemind/container/containerd-standby';
import {CONTAINERD} from './fence/engine.ts';
import {type Lease, readLease} from './fence/lease-file.ts';

export interface Outputs {
  /** Goes on where the process before this one was. @param file the lease as it was kept */
  start(file: string | undefined): Promise<void>;
  /** The agent lives. Resolves when nothing is read here any more. */
  heard(lease: Pick<Lease, 'cluster' | 'engine'>): Promise<void>;
  stop(): Promise<void>;
}

export function keepOutputs(options: LogStandbyOptions): Outputs {
  let standby: Promise<LogStandby> | undefined;
  const heard = async ({cluster, engine}: Pick<Lease, 'cluster' | 'engine'>): Promise<void> => {
    const watched = engine.startsWith(CONTAINERD) ? {cluster, socketPath: engine.slice(CONTAINERD.length)} : undefined;
    if (watched) standby ??= import('@hivemind/container/containerd-standby').then((module) => new module.LogStandby(options));
    await (await standby)?.heard(watched);
  };
  return {
    heard,
    async start(file) {
      const kept = file === undefined ? undefined : await readLease(file);
      if (kept) await heard(kept);
    },
    stop: async () => (await standby)?.stop(),
  };
}
