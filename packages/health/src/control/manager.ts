/** The health manager: answers how everything is doing. Probing itself is done on the machines. */
import {collections, statusUnder} from '@hivemind/contracts';
import {type CreateManager, type HttpServer, listQuery, listReply} from '@hivemind/service';
import {collection, informer, type Store} from '@hivemind/store';
import {appHealth, type ContainerView, nodeHealth, summary} from '../core/assess.ts';
import {AppHealth, HealthSummary, NodeHealth} from '../model.ts';

export const createHealthManager: CreateManager = ({store, logger: parent}) => {
  const logger = parent.child({manager: 'health'});
  const ending = new AbortController();
  const tables = openTables(store, ending.signal, (err) => logger.warn({err}, 'the store could not be followed'));
  return {
    name: 'health',
    routes: (app) => healthRoutes(app, tables),
    start: async () => {
      await Promise.all(Object.values(tables).map((table) => table.ready()));
    },
    stop: () => Promise.resolve(ending.abort()),
  };
};

type Tables = ReturnType<typeof openTables>;

function openTables(store: Store, signal: AbortSignal, onError: (error: unknown) => void) {
  const follow = {store, signal, onError};
  return {
    apps: informer({...follow, collection: collection(collections.apps)}),
    containers: informer({...follow, collection: collection(collections.containers), indexes: {app: ({appUid}) => [appUid], node: ({node}) => [node]}}),
    statuses: informer({...follow, collection: collection(collections.containerStatus)}),
    nodes: informer({...follow, collection: collection(collections.nodes)}),
    nodeStatus: informer({...follow, collection: collection(collections.nodeStatus)}),
    verdicts: informer({...follow, collection: collection(collections.nodeVerdicts)}),
  };
}

function healthRoutes(app: HttpServer, tables: Tables): void {
  const tags = ['health'];
  const joined = (records: ReturnType<Tables['containers']['list']>): ContainerView[] => records.map(({key, value}) => {
    const told = tables.statuses.get(key)?.value.status;
    return {record: value, status: told && statusUnder(tables.verdicts.get(value.node)?.value, told)};
  });
  const apps = (): AppHealth[] => tables.apps.list().map(({value}) => appHealth(value, joined(tables.containers.byIndex('app', value.meta.uid))));
  const nodes = (): NodeHealth[] =>
    tables.nodes.list().map(({key, value}) => nodeHealth(value, tables.nodeStatus.get(key)?.value, tables.verdicts.get(key)?.value, joined(tables.containers.byIndex('node', key))));

  app.get('/health', {schema: {tags, summary: 'How the cluster is doing', response: {200: HealthSummary}}}, async () => summary(apps(), nodes(), joined(tables.containers.list())));
  app.get('/health/apps', {schema: {tags, summary: 'How each app is doing, and what is wrong', querystring: listQuery({item: AppHealth, filters: ['level']})}}, async ({query}) => listReply(apps(), query, tables.apps.revision));
  app.get('/health/nodes', {schema: {tags, summary: 'How each machine is doing', querystring: listQuery({item: NodeHealth, filters: ['level', 'phase'], namespaced: false})}}, async ({query}) => listReply(nodes(), query, tables.nodes.revision));
}
