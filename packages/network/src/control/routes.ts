/** /networks: the cluster's network, who has which addresses, and how machines reach each other. */
import type {Bus} from '@hivemind/bus';
import {CLUSTER_NETWORK, Ipam, mergePatch, Network, NetworkBody, Overlay, parseInput} from '@hivemind/contracts';
import {type HttpServer, ifMatch, listQuery, listReply, manifest, sameName, withETag, withSpec} from '@hivemind/service';
import * as z from 'zod';
import {gatewayOf, parseCidr} from '../core/cidr.ts';
import {capacityOf} from '../core/subnets.ts';
import {askMachines} from './ask-machines.ts';
import type {Settings} from './settings.ts';
import {specOf, subnetsOf, type Tables} from './tables.ts';

const tags = ['network'];
const Params = z.object({name: z.string()});

export interface NetworkRoutes {
  readonly bus: Bus;
  readonly tables: Tables;
  readonly settings: Settings;
}

export function networkRoutes(app: HttpServer, {bus, tables, settings}: NetworkRoutes): void {
  app.get('/networks', {schema: {tags, summary: 'The network of the cluster', querystring: listQuery({item: Network, filters: [], namespaced: false})}}, async ({query}) =>
    listReply([await settings.read('cluster')], query, tables.networks.revision));

  // Words before names: `ipam` is no network.
  app.get('/networks/ipam', {schema: {tags, summary: 'Which addresses each machine gives to its containers', response: {200: Ipam}}}, async () => {
    const {cidr, nodePrefix} = specOf(tables);
    const {leases} = subnetsOf(tables);
    const items = Object.entries(leases).map(([node, lease]) => {
      const range = parseCidr(lease.cidr);
      return {node, subnet: lease.cidr, gateway: range === undefined ? '' : gatewayOf(range), since: lease.since};
    }).toSorted((a, b) => (a.node < b.node ? -1 : 1));
    const without = tables.nodes.list().map(({key}) => key).filter((node) => leases[node] === undefined).toSorted();
    return {cidr, nodePrefix, total: capacityOf({cidr, nodePrefix}), used: items.length, items, without};
  });

  app.get('/networks/overlay', {schema: {tags, summary: 'How machines reach each other: loss, round trips, counters', response: {200: Overlay}}}, async () => {
    const because = tables.networks.get(CLUSTER_NETWORK)?.value.because;
    return {backend: specOf(tables).backend, ...(because === undefined ? {} : {because}), ...(await askMachines(bus, tables))};
  });

  app.get('/networks/:name', {schema: {tags, summary: 'The network, how packets are carried and which range it has', params: Params}}, async ({params}, reply) =>
    withETag(reply, await settings.read(params.name)));

  app.put('/networks/:name', {schema: {tags, summary: 'Set how packets are carried, and the range', params: Params, body: manifest(NetworkBody)}}, async (request, reply) => {
    sameName(request.params.name, request.body);
    return withETag(reply, await settings.write(request.body, ifMatch(request)));
  });

  app.patch('/networks/:name', {schema: {tags, summary: 'Change the network by JSON merge patch', params: Params, body: z.unknown()}}, async (request, reply) => {
    const {name, labels, annotations, spec, meta} = await settings.read(request.params.name);
    const body = parseInput(NetworkBody, mergePatch({name, labels, annotations, spec}, withSpec(request.body ?? {})), 'The network, as patched');
    sameName(name, body);
    return withETag(reply, await settings.write(body, ifMatch(request) ?? meta.version));
  });
}
