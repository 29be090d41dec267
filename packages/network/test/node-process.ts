/**
 * The node half of the network as a program, run on a machine by tests: what the control plane says comes in as lines of JSON,
 * and each line is answered by one.
 */
import {existsSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {call, createEmbeddedBus, emit, serve} from '@hivemind/bus';
import {ContainerRecord, getNetwork, getOverlay, networkChanged, NetworkView} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import Docker from 'dockerode';
import {pino} from 'pino';
import * as z from 'zod';
import {createNetwork} from '../src/node/index.ts';
import type {ServicesFeed} from '../src/node/virtual-ips.ts';

const [dataDir = '', node = '', cluster = 'test'] = process.argv.slice(2);
const Line = z.object({view: NetworkView.optional(), prepare: z.string().optional(), removed: z.string().optional(), key: z.literal(true).optional(), lead: z.object({virtualIp: z.string(), address: z.string()}).optional()});
type Listener = Parameters<ServicesFeed['onEndpointsChanged']>[0];
const bus = createEmbeddedBus();
let view: NetworkView | undefined;
const key = Promise.withResolvers<string | undefined>();
await serve(bus, getNetwork, {}, async ({wireguardKey}) => {
  key.resolve(wireguardKey);
  if (view === undefined) throw new Error('nothing was said yet');
  return view;
});
const session = {current: () => 1, onRegistered: () => () => undefined};
const socketPath = '/run/docker.sock';
const docker = new Docker({socketPath});
// A machine without an engine has no containers.
const list = async (): Promise<readonly RuntimeContainer[]> => (!existsSync(socketPath) ? [] : await docker.listContainers({all: true})).map(({Id, Names}) => ({runtimeId: Id, id: (Names[0] ?? '').slice(1), name: '', labels: {}, state: 'running', oomKilled: false, ports: []}));
const listeners = new Set<Listener>();
const services: ServicesFeed = {
  onEndpointsChanged(listener) {
    listeners.add(listener);
    void listener({whole: true, services: [], gone: []});
    return () => void listeners.delete(listener);
  },
};
const network = createNetwork({services, bus, node, cluster, dataDir, session, runtime: {list, pruneNetworks: async () => undefined}, logger: pino({level: 'info'}, pino.destination(2))});
await network.start();

const record = (id: string): ContainerRecord => ContainerRecord.parse({id, namespace: 'default', app: 'web', appUid: 'u', revision: 1, node, generation: 1, ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00Z', template: {image: 'none'}});
for await (const text of createInterface({input: process.stdin})) {
  const line = Line.parse(JSON.parse(text));
  let answer: unknown = {};
  try {
    if (line.view !== undefined) {
      view = line.view;
      await emit(bus, networkChanged, {}, {});
    } else if (line.prepare !== undefined) answer = await network.hook.prepare?.(record(line.prepare), AbortSignal.timeout(20_000));
    else if (line.removed !== undefined) await network.hook.removed?.(record(line.removed));
    else if (line.key !== undefined) answer = {key: await key.promise};
    else if (line.lead !== undefined) {
      const {virtualIp, address} = line.lead;
      const web = {namespace: 'default', name: 'web', headless: false, virtualIp, ports: [], endpoints: [{container: 'one', node, address, weight: 100, ports: []}]};
      for (const listener of listeners) await listener({whole: false, services: [web], gone: []});
    } else answer = await call(bus, getOverlay, {node}, {});
  } catch (error) {
    answer = {error: String(error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await network.stop();
await bus.close();
