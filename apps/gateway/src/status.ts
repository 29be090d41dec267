/** `GET /status`: what a person asks first. Whatever is weaker than the house asks for is among the warnings. */
import {AdoptionRecord, collections, NodeReport, nodeState, ServiceInstanceRecord} from '@hivemind/contracts';
import {revisionText, type HttpServer, type ManagerContext} from '@hivemind/service';
import {collection, type Store} from '@hivemind/store';
import * as z from 'zod';

const counted = ['namespaces', 'apps', 'containers', 'nodes', 'volumes', 'configs', 'secrets'] as const;

export const Status = z.object({
  version: z.string(),
  cluster: z.string(),
  startedAt: z.string(),
  /** Things to know, in words; empty when all is well. */
  warnings: z.array(z.string()),
  store: z.object({driver: z.string(), revision: z.string(), warnings: z.array(z.string())}),
  bus: z.object({driver: z.string(), connected: z.boolean()}),
  /** `loopback`: nobody else can reach it, so it is served in the clear; `off`: others can, and it is too. */
  tls: z.enum(['loopback', 'tls', 'off']),
  managers: z.array(z.string()),
  /** Processes of their own, by service; empty where one process does it all. */
  services: z.array(ServiceInstanceRecord.pick({service: true, instance: true, url: true, version: true, startedAt: true})),
  /** `ready`: heard, as the node manager has ruled; also while it is drained or in maintenance. */
  nodes: z.array(z.object({name: z.string(), ready: z.boolean(), runtime: NodeReport.shape.runtime})),
  counts: z.record(z.enum(counted), z.number()),
  /** Law 12: while `held`, machines keep what the store does not list. */
  adoption: AdoptionRecord.partial().extend({held: z.boolean()}),
});
export type Status = z.infer<typeof Status>;

export interface StatusSource {
  readonly context: Pick<ManagerContext, 'store' | 'bus' | 'cluster'>;
  readonly version: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly busDriver: string;
  readonly tls: Status['tls'];
  readonly managers: readonly string[];
  /** Those that run now. */
  readonly services: () => Status['services'];
}

export function statusRoute(api: HttpServer, source: StatusSource): void {
  let connected = true;
  const forget = source.context.bus.onStatus((status) => (connected = status === 'connected'));
  api.addHook('onClose', async () => forget());
  api.get('/status', {schema: {summary: 'The state of the cluster', tags: ['gateway'], response: {200: Status}}}, () => readStatus(source, connected));
}

async function readStatus({context, version, startedAt, busDriver, tls, managers, services}: StatusSource, connected: boolean): Promise<Status> {
  const {store, cluster} = context;
  const [storeStatus, nodes, adoption, counts] = await Promise.all([store.status(), readNodes(store), collection(collections.cluster).in(store).get('adoption'), readCounts(store)]);
  const running = services();
  const absent = running.length === 0 ? [] : managers.filter((manager) => !running.some(({service}) => service === manager));
  const warnings = [
    ...absent.map((manager) => `No instance of the ${manager} manager runs: start one with hivemind service ${manager}.`),
    ...storeStatus.warnings,
    ...(tls === 'off' ? ['TLS is off: tokens and secrets cross the network in the clear.'] : []),
    ...(connected ? [] : ['The bus is not connected: machines do not hear of changes.']),
    ...(adoption?.value.held === true ? [`Nothing is removed from machines until adopted: ${adoption.value.reason} Run hivemind cluster adopt.`] : []),
    ...nodes.flatMap(({name, ready, runtime}) => (!ready ? [`Node ${name} does not report.`] : runtime.available ? [] : [`The container engine of node ${name} does not answer: ${runtime.message ?? 'no reason is known'}`])),
  ];
  return {
    version,
    cluster,
    startedAt,
    warnings,
    store: {driver: storeStatus.driver, revision: revisionText(storeStatus.revision), warnings: [...storeStatus.warnings]},
    bus: {driver: busDriver, connected},
    tls,
    managers: [...managers],
    services: running.map(({service, instance, url, version: release, startedAt: since}) => ({service, instance, url, version: release, startedAt: since})),
    nodes,
    counts,
    adoption: adoption?.value ?? {held: false},
  };
}

async function readNodes(store: Store): Promise<Status['nodes']> {
  const [nodes, statuses, verdicts] = await Promise.all([collection(collections.nodes).in(store).list(), collection(collections.nodeStatus).in(store).list(), collection(collections.nodeVerdicts).in(store).list()]);
  const reports = new Map(statuses.items.map(({key, value}) => [key, value.report]));
  const ruled = new Map(verdicts.items.map(({key, value}) => [key, value]));
  return nodes.items.map(({key: name}) => {
    const report = reports.get(name);
    return {name, ready: nodeState(ruled.get(name), report !== undefined) === 'ready', runtime: report?.runtime ?? {name: 'unknown', version: '', available: false}};
  });
}

async function readCounts(store: Store): Promise<Status['counts']> {
  const entries = await Promise.all(counted.map(async (name) => [name, await count(store, name)] as const));
  return z.record(z.enum(counted), z.number()).parse(Object.fromEntries(entries));
}

async function count(store: Store, name: string): Promise<number> {
  for (let total = 0, after: string | undefined; ;) {
    const page = await store.list(name, after === undefined ? {} : {after});
    total += page.records.length;
    if (page.next === undefined) return total;
    after = page.next;
  }
}
