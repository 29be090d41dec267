/** Simulated machines: the agent's own registration and worker, each on an engine in memory, many in one process. */
import {randomUUID} from 'node:crypto';
import {join} from 'node:path';
import type {Bus} from '@hivemind/bus';
import {createWorker} from '@hivemind/container/node';
import {createFakeRuntime} from '@hivemind/container/testing';
import {createRegistration} from '@hivemind/node/node';
import type {Logger} from 'pino';

export interface SimulatedMachine {
  stop(): Promise<void>;
}

export interface SimulationOptions {
  readonly bus: Bus;
  readonly cluster: string;
  /** Best in memory: each machine keeps its assignment there. */
  readonly dataDir: string;
  readonly logger: Logger;
}

/** Resolves when it is registered and its worker has begun. */
export async function startMachine(name: string, {bus, cluster, dataDir, logger}: SimulationOptions): Promise<SimulatedMachine> {
  const engine = {available: false};
  const report = async () => ({
    capacity: {cpu: 16_000, memory: 64 * 2 ** 30, disk: 2 ** 40, pods: 500},
    labels: {'hivemind.io/os': 'linux'}, address: '127.0.0.1', agentVersion: 'bench',
    runtime: {name: 'fake', version: '1', available: engine.available},
  });
  const registration = createRegistration({bus, node: name, instance: randomUUID(), report, logger});
  await registration.start();
  const runtime = createFakeRuntime({cluster});
  const worker = createWorker({
    node: name, bus, runtime, dataDir: join(dataDir, name), session: registration, hooks: [], logger,
    onEngine: (available) => {
      engine.available = available;
      registration.reportNow();
    },
  });
  await worker.start();
  return {
    async stop() {
      await worker.stop();
      await registration.stop();
    },
  };
}
