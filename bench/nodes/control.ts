/** Child of run.ts: every manager in one process, on NATS and Redis. Says `ready` with the URL of its API, then serves until it is told to end. */
import {randomUUID} from 'node:crypto';
import {createAppManager} from '@hivemind/app/control';
import {connectNatsBus} from '@hivemind/bus';
import {createContainerManager} from '@hivemind/container/control';
import {createDeploymentManager} from '@hivemind/deployment/control';
import {createNodeManager} from '@hivemind/node/control';
import {createSchedulerManager} from '@hivemind/scheduler/control';
import {createSecurityManager} from '@hivemind/security/control';
import {createHttp, flushEvents, type ManagerContext} from '@hivemind/service';
import {createStorageManager} from '@hivemind/storage/control';
import {openRedisStore} from '@hivemind/store';
import {pino} from 'pino';
import {Registry} from 'prom-client';

const [servers = '', redis = '', cluster = '', dataDir = ''] = process.argv.slice(2);
const logger = pino({level: process.env['LOG'] ?? 'error'}, pino.destination(2));
const bus = await connectNatsBus({servers, name: 'bench-control', logger});
const store = await openRedisStore({url: redis});
const context: ManagerContext = {bus, store, logger, metrics: new Registry(), cluster, dataDir, instance: 'bench', now: Date.now, uid: randomUUID, random: Math.random};
const managers = [createNodeManager, createAppManager, createDeploymentManager, createSchedulerManager, createContainerManager, createStorageManager, createSecurityManager].map((create) => create(context));
const http = createHttp({logger, metrics: context.metrics, name: 'bench'});
await http.register(async (app) => {
  for (const manager of managers) await manager.routes(app);
}, {prefix: '/api/v1'});
await Promise.all(managers.map((manager) => manager.start()));
process.send?.({url: await http.listen({port: 0, host: '127.0.0.1'})});
process.once('disconnect', () => {
  void (async () => {
    await Promise.all(managers.map((manager) => manager.stop()));
    await http.close();
    await bus.close();
    await flushEvents(store);
    await store.close();
  })();
});
