/** Which way a change of an app proceeds, and the bounds it keeps. */
import {fencingOf, type AppSpec} from '@hivemind/contracts';

export interface Strategy {
  readonly name: 'rolling' | 'recreate' | 'stop-first';
  /** Why it is not the one that was asked for. */
  readonly because?: string;
}

/**
 * Two copies cannot coexist where both want the same port of the machine, or both would write one local volume: then
 * the old copy goes first, whatever `update` asks for.
 * @param sharedPorts machines lead their ports to all containers: none holds one
 */
export function chooseStrategy(spec: AppSpec, sharedPorts = false): Strategy {
  if (spec.update.strategy === 'recreate') return {name: 'recreate'};
  if (fencingOf(spec) !== undefined) return {name: 'stop-first', because: 'two of it must never run at once'};
  if (spec.mode === 'global') return {name: 'stop-first', because: 'a machine has one of it at a time'};
  const port = sharedPorts ? undefined : spec.ports.find((candidate) => typeof candidate.host === 'number' && candidate.host > 0);
  if (port) return {name: 'stop-first', because: `host port ${port.host} can be held by one container of a machine at a time`};
  const volume = spec.volumes.find((candidate) => candidate.name !== undefined && !candidate.readOnly);
  if (volume) return {name: 'stop-first', because: `volume ${volume.name} is written by one revision at a time`};
  return {name: 'rolling'};
}

/** How far a rollout may go above and below the number of replicas. */
export interface Bounds {
  readonly surge: number;
  readonly unavailable: number;
  /** A container that is still stopping takes its place until it is gone. */
  readonly stoppingCounts: boolean;
}

/** @param desired containers that there should be */
export function boundsOf(strategy: Strategy['name'], spec: AppSpec, desired: number): Bounds {
  const {maxSurge, maxUnavailable} = spec.update;
  switch (strategy) {
    case 'rolling':
      return {surge: maxSurge, unavailable: maxUnavailable, stoppingCounts: false};
    case 'stop-first':
      return {surge: 0, unavailable: Math.max(1, maxUnavailable), stoppingCounts: true};
    case 'recreate':
      return {surge: 0, unavailable: Math.max(1, desired), stoppingCounts: true};
  }
}
