/** /members and /leader: the ring, as most ready machines see it. */
import {Leader, Member, type MemberRecord} from '@hivemind/contracts';
import {type HttpServer, listQuery, listReply, withETag} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import * as z from 'zod';
import {membershipErrors} from '../errors.ts';
import type {LeaderView} from './leader-view.ts';
import type {Reports} from './reports.ts';
import {electorate, type Tables} from './tables.ts';
import {tally, type Votes} from './tally.ts';

const Params = z.object({name: z.string()});

export interface MembershipRouteOptions {
  readonly tables: () => Tables;
  readonly reports: Reports;
  readonly leader: () => LeaderView;
  /** Monotonic ms. */
  readonly monotonic: () => number;
}

export function membershipRoutes(app: HttpServer, {tables, reports, leader, monotonic}: MembershipRouteOptions): void {
  const tags = ['membership'];

  /** How the votes stand, by name. */
  const votes = (): ((name: string) => Votes) => {
    const voters = electorate(tables());
    const views = reports.fresh(monotonic());
    const standings = tally(views, voters, () => undefined);
    const silent = {alive: 0, suspect: 0, dead: 0, left: 0, silent: voters.machines ? voters.ready.size : views.size};
    return (name) => standings.get(name)?.votes ?? silent;
  };

  app.get('/members', {schema: {tags, summary: 'The machines of the ring, and whether they are there', querystring: listQuery({item: Member, filters: ['phase', 'zone'], namespaced: false})}}, async ({query}) => {
    const votesOf = votes();
    return listReply(tables().members.list().map((record) => present(record, votesOf(record.key))), query, tables().members.revision);
  });

  app.get('/members/:name', {schema: {tags, summary: 'One machine of the ring', params: Params}}, async ({params: {name}}, reply) => {
    const record = tables().members.get(name);
    if (!record) throw membershipErrors['member-not-found'](`There is no member ${name}: GET /members lists what the ring knows.`);
    return withETag(reply, present(record, votes()(name)));
  });

  app.get('/leader', {schema: {tags, summary: 'Who leads; provisional: named by the ring while the store is away', response: {200: Leader}}}, () => leader().current());
}

function present({value, version}: Stored<MemberRecord>, votes: Votes): Member {
  const {name, address, zone, agentVersion, api, tags, state, incarnation, since, meta} = value;
  return {
    kind: 'Member', name, labels: tags, annotations: {},
    spec: {address, ...(zone === undefined ? {} : {zone}), ...(agentVersion === undefined ? {} : {agentVersion}), ...(api === undefined ? {} : {api}), tags},
    status: {phase: state, incarnation, since, votes},
    meta: {...meta, version},
  };
}
