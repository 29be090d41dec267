/** /services: what apps are reached by, who is behind it, and why; /discovery/settings. */
import {CLUSTER_NETWORK, DISCOVERY_SETTINGS_KEY, DiscoverySettings, Endpoint, mergePatch, NetworkSpec, parseInput, Resolution, resourceKey, Service, type ServiceRecord} from '@hivemind/contracts';
import {type HttpServer, listQuery, listReply, type ManagerContext, namespaceOf, NamespaceQuery, withETag} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import * as z from 'zod';
import {presentEndpoints, presentService, resolve} from '../core/present.ts';
import {isWithin, overlap, rangeOf} from '../core/virtual-ips.ts';
import {discoveryErrors} from '../errors.ts';
import {settingsOf} from './reconciler.ts';
import {settings, type Tables} from './tables.ts';

const Params = z.object({name: z.string()});
const tags = ['discovery'];

export function serviceRoutes(app: HttpServer, {store}: Pick<ManagerContext, 'store'>, tables: () => Tables): void {
  const behind = (key: string) => tables().endpoints.byIndex('service', key).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const present = (stored: Stored<ServiceRecord>): Service => presentService(stored, behind(stored.key).map(({value}) => value));
  const find = (namespace: string, name: string): Stored<ServiceRecord> => {
    const stored = tables().services.get(resourceKey(namespace, name));
    if (!stored) throw discoveryErrors['service-not-found'](`There is no service ${name} in namespace ${namespace}: each app is one, GET /services lists them.`);
    return stored;
  };

  app.get('/services', {schema: {tags, summary: 'Services: what apps are reached by', querystring: listQuery({item: Service, filters: ['phase', 'domain', 'virtualIp']})}}, async ({query}) =>
    listReply(tables().services.list().map(present), query, tables().services.revision));

  app.get('/services/:name', {schema: {tags, summary: 'One service: its names, its virtual IP, how many are behind it', params: Params, querystring: NamespaceQuery}}, async ({params, query}, reply) =>
    withETag(reply, present(find(namespaceOf(query), params.name))));

  app.get('/services/:name/endpoints', {schema: {tags, summary: 'Its containers: addresses, ports, whether they are in rotation, and their weight', params: Params, querystring: listQuery({item: Endpoint, filters: ['node', 'ready', 'revision']})}}, async ({params, query}) => {
    const service = find(namespaceOf({namespace: query.namespace}), params.name);
    return listReply(presentEndpoints(service, behind(service.key)), query, tables().services.revision);
  });

  app.get('/services/:name/resolve', {schema: {tags, summary: 'What its names give, and why', params: Params, querystring: NamespaceQuery, response: {200: Resolution}}}, async ({params, query}) => {
    const service = find(namespaceOf(query), params.name);
    return resolve(service.value, behind(service.key).map(({value}) => value), (node) => tables().verdicts.get(node)?.value);
  });

  app.get('/discovery/settings', {schema: {tags, summary: 'Where virtual IPs are taken from', response: {200: DiscoverySettings}}}, async () => settingsOf(tables()));

  app.patch('/discovery/settings', {schema: {tags, summary: 'Change that, by JSON merge patch; null puts a default back. Services keep the address that they have', body: z.unknown(), response: {200: DiscoverySettings}}}, async ({body}) => {
    const before = await settings.in(store).get(DISCOVERY_SETTINGS_KEY);
    const next = parseInput(DiscoverySettings, mergePatch(before?.value ?? {}, body), 'The settings, as patched');
    const range = rangeOf(next.virtualIps);
    const machine = tables().nodes.list().find(({value}) => isWithin(range, value.spec.address));
    if (machine) throw discoveryErrors['range-invalid'](`${next.virtualIps} holds ${machine.value.spec.address}, the address of node ${machine.key}: virtual IPs must be nobody's.`);
    const {cidr} = tables().networks.get(CLUSTER_NETWORK)?.value.spec ?? NetworkSpec.parse({});
    if (overlap(next.virtualIps, cidr)) throw discoveryErrors['range-invalid'](`${next.virtualIps} overlaps ${cidr}, the addresses of containers (hivemind network set --cidr): virtual IPs must be nobody's.`);
    const container = tables().endpoints.list().find(({value}) => isWithin(range, value.address));
    if (container) throw discoveryErrors['range-invalid'](`${next.virtualIps} holds ${container.value.address}, the address of container ${container.key}: virtual IPs must be nobody's.`);
    const written = await settings.in(store).put(DISCOVERY_SETTINGS_KEY, next, {expect: before ?? 0});
    await tables().settings.waitForRevision(written.version);
    return next;
  });
}
