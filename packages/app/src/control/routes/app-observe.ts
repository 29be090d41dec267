/** Routes that look at what an app does: its logs, what its containers use, what happened. */
import {call} from '@hivemind/bus';
import {resourceKey, type AppRecord, type ContainerRecord, type ContainerStats, type EventRecord, type LogLine} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {namespaceOf, NamespaceQuery, queryFlag, queryInteger, revisionText} from '@hivemind/service';
import {Readable} from 'node:stream';
import * as z from 'zod';
import {isLive} from '../../core/containers.ts';
import {events} from '../collections.ts';
import {appLogs} from '../logs.ts';
import {AppParams} from './apps.ts';
import type {RouteContext} from './context.ts';

const tags = ['app'];
const moment = z.iso.datetime({offset: true, error: 'is not a time: write it as in 2026-01-31T12:00:00Z'});
const LogQuery = NamespaceQuery.extend({
  tail: queryInteger(0, 1_000_000).optional(),
  since: moment.optional(),
  until: moment.optional(),
  follow: queryFlag.default(false),
  format: z.enum(['json', 'text']).default('json'),
});
const EventQuery = NamespaceQuery.extend({limit: queryInteger(1, 1000).default(100)});

export function mountAppObserveRoutes(routes: RouteContext): void {
  const {app, context, view, writes} = routes;
  const closing = new AbortController();
  // A followed log never ends by itself.
  app.addHook('preClose', async () => closing.abort());

  app.get('/apps/:name/logs', {schema: {summary: 'Logs of all its containers, as NDJSON or text', tags, params: AppParams, querystring: LogQuery}}, async (request, reply) => {
    const {namespace: _, format, ...options} = request.query;
    const {value} = await writes.read(namespaceOf(request.query), request.params.name);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const lines = await appLogs(context, containersOf(routes, value), options, AbortSignal.any([gone.signal, closing.signal]));
    return reply.type(format === 'text' ? 'text/plain; charset=utf-8' : 'application/x-ndjson').send(Readable.from(written(lines, format), {objectMode: false}));
  });

  app.get('/apps/:name/stats', {schema: {summary: 'What its containers use now', tags, params: AppParams, querystring: NamespaceQuery}}, async ({params, query}) => {
    const {value} = await writes.read(namespaceOf(query), params.name);
    const byNode = Map.groupBy(containersOf(routes, value), ({node}) => node);
    const answers = await Promise.all([...byNode].map(async ([node, records]) => askStats(routes, node, records.map(({id}) => id))));
    return {items: answers.flatMap(({items}) => items), missing: answers.flatMap(({missing}) => missing), next: null, revision: revisionText(view.revision())};
  });

  app.get('/apps/:name/events', {schema: {summary: 'What happened to it and its containers, oldest first', tags, params: AppParams, querystring: EventQuery}}, async ({params, query}) => {
    const {value} = await writes.read(namespaceOf(query), params.name);
    const ids = new Set(containersOf(routes, value).map(({id}) => id));
    const {items, revision} = await events.in(context.store).list({prefix: `${value.namespace}/`});
    const about = items.map((stored) => stored.value).filter((event) => isAbout(event, value, ids));
    return {items: about.slice(-query.limit), next: null, revision: revisionText(revision)};
  });
}

function containersOf({view}: RouteContext, {namespace, name}: AppRecord): readonly ContainerRecord[] {
  return view.appView(resourceKey(namespace, name)).containers.filter(isLive).map(({record}) => record);
}

/** Its own events, and those of containers that it has or had: their ids begin with its name. */
function isAbout({kind, name, container}: EventRecord, app: AppRecord, ids: ReadonlySet<string>): boolean {
  if ((kind === 'App' || kind === 'Deployment') && (name === app.name || name.startsWith(`${app.meta.uid}-`))) return true;
  const id = container ?? (kind === 'Container' ? name : undefined);
  return id !== undefined && (ids.has(id) || new RegExp(`^${app.name.slice(0, 50).replace(/-+$/, '')}-[a-z2-9]{5}$`).test(id));
}

async function askStats({context}: RouteContext, node: string, ids: readonly string[]): Promise<{items: readonly ContainerStats[]; missing: readonly string[]}> {
  try {
    const {stats} = await call(context.bus, subjects.getStats, {node}, {ids: [...ids]});
    const known = new Set(stats.map(({id}) => id));
    return {items: stats, missing: ids.filter((id) => !known.has(id))};
  } catch (err) {
    context.logger.warn({err, node}, 'a machine could not be asked what its containers use');
    return {items: [], missing: ids};
  }
}

async function* written(lines: AsyncIterable<LogLine>, format: 'json' | 'text'): AsyncGenerator<string> {
  for await (const line of lines) yield format === 'text' ? `${line.container} | ${line.line}\n` : `${JSON.stringify(line)}\n`;
}
