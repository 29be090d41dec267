/** `GET /containers/{id}/logs`: a container's output as its node has it, as lines of JSON or of text. */
import {Readable} from 'node:stream';
import {open} from '@hivemind/bus';
import {Duration, durationMs, LogLine} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {NamespaceQuery, queryFlag, queryInteger} from '@hivemind/service';
import * as z from 'zod';
import {jsonLines} from '../../core/json-lines.ts';
import {begun} from '../begun.ts';
import {asking, ContainerParams, findContainer, tags, type RouteContext} from './context.ts';

const MOST_LINES = 1_000_000;
/** A moment (RFC 3339), or how long ago. */
const Moment = z.union([z.iso.datetime({offset: true}), Duration], 'is neither a time, as in 2026-01-31T12:00:00Z, nor how long ago, as in 10m');
const LogQuery = NamespaceQuery.extend({
  follow: queryFlag.default(false),
  tail: queryInteger(0, MOST_LINES).optional(),
  since: Moment.optional(),
  until: Moment.optional(),
  format: z.enum(['json', 'text']).default('json'),
});

export function logRoute(routes: RouteContext): void {
  const {app, context} = routes;

  app.get('/containers/:id/logs', {schema: {summary: 'Its output, one JSON object a line; with follow, as it comes', tags, params: ContainerParams, querystring: LogQuery}}, async (request, reply) => {
    const {follow, tail, since, until, format, namespace} = request.query;
    const {id, node} = findContainer(routes, request.params.id, namespace).value;
    const moment = (text: string | undefined): string | undefined => (text === undefined ? undefined : momentOf(text, context.now()));
    const stream = await asking(node, () => open(context.bus, subjects.streamLogs, {node}, {id, follow, tail, since: moment(since), until: moment(until)}));
    reply.raw.once('close', () => stream.destroy());
    const bytes = await begun(stream.readable);
    if (format === 'json') return reply.type('application/x-ndjson').send(Readable.from(bytes, {objectMode: false}));
    return reply.type('text/plain; charset=utf-8').send(Readable.from(textOf(bytes), {objectMode: false}));
  });
}

/** RFC 3339 in UTC. A time that is in UTC already keeps all its digits. */
function momentOf(text: string, now: number): string {
  if (Duration.safeParse(text).success) return new Date(now - durationMs(text)).toISOString();
  return text.endsWith('Z') ? text : new Date(text).toISOString();
}

async function* textOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  for await (const line of jsonLines(bytes)) {
    const parsed = LogLine.safeParse(line);
    if (parsed.success) yield `${parsed.data.line}\n`;
  }
}
