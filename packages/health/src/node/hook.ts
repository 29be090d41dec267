/** Health on the machine: probes what runs, and tells the worker. */
import {type Clock, systemClock} from '@hivemind/controller';
import type {NodeHook, Runtime} from '@hivemind/runtime';
import {runProbe} from './actions.ts';
import {Prober} from './prober.ts';

export interface HealthHookOptions {
  readonly runtime: Pick<Runtime, 'exec'>;
  readonly clock?: Clock;
}

export function createHealthHook({runtime, clock = systemClock}: HealthHookOptions): NodeHook {
  const probers = new Map<string, Prober>();
  const stop = (id: string): void => {
    probers.get(id)?.stop();
    probers.delete(id);
  };
  return {
    name: 'health',
    started({id, template: {health}}, container, report) {
      stop(id);
      if (Object.values(health).every((probe) => probe === undefined)) return;
      probers.set(id, new Prober({id, health, report, clock, ask: (probe, signal) => runProbe(runtime, container, probe, signal)}));
    },
    stopped: ({id}) => stop(id),
    removed: ({id}) => Promise.resolve(stop(id)),
  };
}
