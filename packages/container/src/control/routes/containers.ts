/** Routes that read containers, and ask their node or the app manager to do something with one. */
import {call} from '@hivemind/bus';
import {Container, resourceKey, type ContainerRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {listQuery, listReply, NamespaceQuery, withETag} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import {presentContainer} from '../../core/present.ts';
import {containerErrors} from '../../errors.ts';
import {asking, ContainerParams, findContainer, tags, type RouteContext} from './context.ts';

const ListContainers = listQuery({item: Container, filters: ['app', 'node', 'phase', 'revision']});

export function containerRoutes(routes: RouteContext): void {
  const {app, context, tables} = routes;
  const {bus} = context;
  const present = ({value, version}: Stored<ContainerRecord>): Container => {
    const {id, namespace, app: name, node, template} = value;
    const verdict = tables.verdicts.get(node)?.value;
    const localVolume = template.volumes.find(({name}) => name !== undefined && tables.volumes.get(resourceKey(namespace, name))?.value.node === node)?.name;
    const taken = tables.nodeStatus.get(node)?.value.report.hostPorts?.taken;
    const published = taken === undefined ? [] : tables.services.get(resourceKey(namespace, name))?.value.published?.filter((port) => !taken.some((each) => each.port === port.port && each.protocol === port.protocol)) ?? [];
    return presentContainer(value, version, {reported: tables.statuses.get(id)?.value, verdict, localVolume, published});
  };

  app.get('/containers', {schema: {summary: 'List containers', tags, querystring: ListContainers}}, async ({query}) => {
    const {revision} = tables.containers;
    return listReply(tables.containers.list().map(present), query, revision);
  });

  app.get('/containers/:id', {schema: {summary: 'One container with its status', tags, params: ContainerParams, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, present(findContainer(routes, params.id, query.namespace))),
  );

  app.get('/containers/:id/stats', {schema: {summary: 'What it takes of its machine now: millicores and bytes', tags, params: ContainerParams, querystring: NamespaceQuery}}, async ({params, query}) => {
    const {id, node} = findContainer(routes, params.id, query.namespace).value;
    const {stats: [stats]} = await asking(node, () => call(bus, subjects.getStats, {node}, {ids: [id]}));
    if (!stats) throw containerErrors['container-not-running'](`Container ${id} does not run now, so there is nothing to measure.`);
    return {...stats, node};
  });

  app.post('/containers/:id/restart', {schema: {summary: 'Stop and start it on its machine, now', tags, params: ContainerParams, querystring: NamespaceQuery}}, async ({params, query}) => {
    const {id, node} = findContainer(routes, params.id, query.namespace).value;
    await asking(node, () => call(bus, subjects.restartContainer, {node}, {id}));
    return present(findContainer(routes, id, undefined));
  });

  app.post('/containers/:id/stop', {schema: {summary: 'Stop it, and put another in its place', tags, params: ContainerParams, querystring: NamespaceQuery}}, async ({params, query}, reply) => {
    const {id} = findContainer(routes, params.id, query.namespace).value;
    await call(bus, subjects.replaceContainer, {}, {id});
    void reply.code(202);
    return present(findContainer(routes, id, undefined));
  });
}
