/** What the managers of one process stand on: a store and a bus of its own, or ones that it shares with others. */
import {randomUUID} from 'node:crypto';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {createEmbeddedBus, type Bus} from '@hivemind/bus';
import {adminToken, sharedTokenHash, tokenHash} from '@hivemind/gateway';
import {flushEvents, type ManagerContext} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {Registry} from 'prom-client';
import {clusterIdentity} from './identity.ts';
import type {StandaloneOptions} from './standalone.ts';

export interface Base {
  readonly context: ManagerContext;
  readonly adminTokenHash: string;
  readonly busDriver: 'embedded' | 'nats';
  /** Other processes write the store too. */
  readonly sharesStore: boolean;
}

/** What was started, and how to stop it: in the opposite order. */
export type Undo = (() => unknown)[];

type BaseOptions = Pick<StandaloneOptions, 'advertise' | 'busPort' | 'shared' | 'logger'> & {
  readonly dataDir: string;
  /** See `clusterIdentity`. */
  readonly earlier: () => Promise<readonly string[]>;
};

const DEFAULT_BUS_PORT = 4222;

export function openBase(options: BaseOptions, undo: Undo): Promise<Base> {
  return options.shared ? sharedBase(options, options.shared, undo) : ownBase(options, undo);
}

async function ownBase(options: BaseOptions, undo: Undo): Promise<Base> {
  const {dataDir, logger, earlier} = options;
  const store = await openSqliteStore({path: join(dataDir, 'store.db')});
  undo.push(() => store.close(), () => flushEvents(store));
  const [cluster, token] = await Promise.all([
    clusterIdentity({dataDir, store, earlier, now: Date.now(), logger}),
    adminToken(dataDir),
    // The data dir may have been put back from an older copy meanwhile. What the lost days made is then of an epoch that this
    // store never knew, however far its revisions come by now (law 12).
    store.renewEpoch(),
  ]);
  const trusted = {store, cluster, clusterKey: () => clusterKeyOf(dataDir, store)};
  const {bus, busUrls} = await ownBus(options, trusted, undo);
  return {
    context: {bus, logger, dataDir, ...trusted, ...(busUrls ? {busUrls} : {}), metrics: new Registry(), instance: `standalone-${cluster}`, now: Date.now, uid: randomUUID, random: Math.random},
    adminTokenHash: tokenHash(token),
    busDriver: busUrls ? 'nats' : 'embedded',
    sharesStore: false,
  };
}

/** Within the process; or a nats-server, where other machines are to come. */
async function ownBus({dataDir, logger, advertise, busPort = DEFAULT_BUS_PORT}: BaseOptions, trusted: Pick<ManagerContext, 'store' | 'cluster'> & {readonly clusterKey: () => Promise<Buffer>}, undo: Undo): Promise<{readonly bus: Bus; readonly busUrls?: readonly string[]}> {
  if (advertise === undefined) {
    const bus = createEmbeddedBus({logger});
    undo.push(() => bus.close());
    return {bus};
  }
  const [{startNatsServer}, {connectTrustedBus}] = await Promise.all([import('@hivemind/service-host/nats-server'), import('@hivemind/service-host/trusted-bus')]);
  const server = await startNatsServer({context: {...trusted, now: Date.now}, dir: join(dataDir, 'nats'), listen: {host: advertise, port: busPort}, logger});
  undo.push(() => server.stop());
  const bus = await connectTrustedBus({name: 'up', servers: [server.url], trusted, logger}, undo);
  undo.push(() => bus.close());
  return {bus, busUrls: [server.url]};
}

/** Never made anew for a cluster whose secrets were sealed under it. */
async function clusterKeyOf(dataDir: string, store: Store): Promise<Buffer> {
  const {clusterKeyFile, hasTrust, openClusterKey} = await import('@hivemind/trust');
  const sealedBefore = async (): Promise<boolean> =>
    (await hasTrust(store)) || (!existsSync(join(dataDir, 'secrets.key')) && (await store.list('secrets', {limit: 1})).records.length > 0);
  return openClusterKey(clusterKeyFile(dataDir, process.env), sealedBefore);
}

async function sharedBase({dataDir, logger}: BaseOptions, shared: NonNullable<StandaloneOptions['shared']>, undo: Undo): Promise<Base> {
  const {openShared} = await import('@hivemind/service-host');
  const {context, close} = await openShared('up', {...shared, dataDir, logger});
  undo.push(close);
  return {context, adminTokenHash: await sharedTokenHash({dataDir, store: context.store, logger, now: context.now}), busDriver: 'nats', sharesStore: true};
}
