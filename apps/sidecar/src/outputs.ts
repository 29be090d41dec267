/**
 * The output of containers of containerd, read here while there is no agent that does. Until then its process is all that is looked
 * at, and the driver is not loaded.
 */
import type {LogStandby, LogStandbyOptions} from '@hivemind/container/containerd-standby';
import {ownerLives} from '@hivemind/container/process-mark';
import {CONTAINERD} from './fence/engine.ts';
import {type Lease, readLease} from './fence/lease-file.ts';

/** It is looked so often (ms) whether the agent lives: a container that says much waits from its end on, and not for a second. */
const LOOK_EVERY_MS = 200;

export interface Outputs {
  /** Goes on where the process before this one was. @param file the lease as it was kept */
  start(file: string | undefined): Promise<void>;
  /** The agent lives. Resolves when nothing is read here any more. */
  heard(lease: Pick<Lease, 'cluster' | 'engine' | 'agent'>): Promise<void>;
  stop(): Promise<void>;
}

export function keepOutputs(options: LogStandbyOptions): Outputs {
  let standby: Promise<LogStandby> | undefined;
  let lease: Pick<Lease, 'cluster' | 'engine' | 'agent'> | undefined;
  let cancel: (() => void) | undefined;
  const watched = () => (lease?.engine.startsWith(CONTAINERD) === true ? {cluster: lease.cluster, socketPath: lease.engine.slice(CONTAINERD.length)} : undefined);
  const look = async (): Promise<void> => {
    const asked = lease;
    const alive = await ownerLives(asked?.agent ?? '');
    // Told to rest meanwhile.
    if (cancel === undefined) return;
    cancel = alive || lease !== asked ? nextLook() : undefined;
    if (cancel) return;
    // It asks containerd whose output there is.
    standby = import('@hivemind/container/containerd-standby').then((module) => new module.LogStandby(options));
    await (await standby).heard(watched());
  };
  const nextLook = () => options.setTimer(() => void look(), LOOK_EVERY_MS);
  const rest = (): void => {
    cancel?.();
    cancel = undefined;
  };
  const heard = async (spoken: Pick<Lease, 'cluster' | 'engine' | 'agent'>): Promise<void> => {
    lease = spoken;
    if (standby && (await ownerLives(spoken.agent ?? ''))) {
      const before = standby;
      standby = undefined;
      await (await before).stop();
    }
    // One that does not say which process it is leaves the looking to it.
    if (standby) await (await standby).heard(watched());
    else if (watched() === undefined) rest();
    else cancel ??= nextLook();
  };
  return {
    heard,
    async start(file) {
      const kept = file === undefined ? undefined : await readLease(file);
      if (kept && lease === undefined) await heard(kept);
    },
    async stop() {
      rest();
      await (await standby)?.stop();
    },
  };
}
