/**
 * `GET /events`: changes as server-sent events. A reader that comes back with `Last-Event-ID` misses nothing; one whose
 * place is no longer in the change log gets a `reset` and lists again; one that does not keep up is cut off.
 */
import {PassThrough} from 'node:stream';
import {DnsLabel, isError, nearestName} from '@hivemind/contracts';
import {ALL_NAMESPACES, parseRevision, revisionText, type HttpServer, type ManagerContext} from '@hivemind/service';
import type {Revision} from '@hivemind/store';
import * as z from 'zod';
import {gatewayErrors} from './errors.ts';
import {ChangeMap, learnedCollections, publicKinds, watchedCollections, type ChangeFilter, type PublicChange} from './public-change.ts';

const HEARTBEAT_MS = 15_000;
/** ms that a browser waits before it connects again. */
const RETRY_MS = 1000;
const MAX_STREAMS = 256;
/** Bytes that may wait for a slow reader. */
const DEFAULT_MAX_BACKLOG = 1024 * 1024;

export interface EventStreamOptions {
  readonly context: Pick<ManagerContext, 'store' | 'logger'>;
  /** Bytes that may wait for a slow reader before it is cut off; default 1 MiB. */
  readonly maxBacklog?: number;
}

const Kinds = z.string().transform((text) => text.split(',')).superRefine((kinds, context) => {
  for (const kind of kinds.filter((name) => !publicKinds.includes(name))) {
    const nearest = nearestName(kind, publicKinds);
    context.addIssue({code: 'custom', message: nearest === undefined ? `${kind} is not a kind; there are ${publicKinds.join(', ')}` : `${kind} is not a kind; did you mean ${nearest}?`});
  }
});
const EventsQuery = z.strictObject({
  kind: Kinds.optional(),
  namespace: z.union([DnsLabel, z.literal(ALL_NAMESPACES)]).optional(),
  name: z.string().max(253).optional(),
  /** Where to start: the `revision` of a list. Last-Event-ID goes before it. */
  revision: z.string().max(128).optional(),
});

export function eventRoutes(api: HttpServer, {context, maxBacklog = DEFAULT_MAX_BACKLOG}: EventStreamOptions): void {
  const readers = new Set<EventReader>();
  api.addHook('preClose', async () => {
    for (const reader of readers) reader.end();
  });
  api.get('/events', {config: {streams: true}, schema: {summary: 'Changes as server-sent events', tags: ['gateway'], querystring: EventsQuery}}, async (request, reply) => {
    if (readers.size >= MAX_STREAMS) throw gatewayErrors['too-many-streams'](`${MAX_STREAMS} event streams are open. Close one, or filter on the reader's side.`);
    const {kind, namespace, name, revision} = request.query;
    const asked = request.headers['last-event-id'] ?? revision;
    const from = typeof asked === 'string' && asked !== '' ? parseRevision(asked) : undefined;
    // Unlike lists, all namespaces are told of unless one is named.
    const filter: ChangeFilter = {kind, name, namespace: namespace === ALL_NAMESPACES ? undefined : namespace};
    const reader = new EventReader(context, filter, maxBacklog);
    readers.add(reader);
    reader.stream.once('close', () => {
      reader.end();
      readers.delete(reader);
    });
    void reader.run(from);
    return reply.type('text/event-stream; charset=utf-8').headers({'cache-control': 'no-store', 'x-accel-buffering': 'no'}).send(reader.stream);
  });
}

class EventReader {
  readonly stream = new PassThrough();
  readonly #context: EventStreamOptions['context'];
  readonly #filter: ChangeFilter;
  readonly #maxBacklog: number;
  readonly #ended = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #at: Revision | undefined;

  constructor(context: EventStreamOptions['context'], filter: ChangeFilter, maxBacklog: number) {
    this.#context = context;
    this.#filter = filter;
    this.#maxBacklog = maxBacklog;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#ended.abort();
    this.stream.end();
  }

  /** Follows the store from `from` (absent: from now on) until the reader goes. */
  async run(from: Revision | undefined): Promise<void> {
    const {logger} = this.#context;
    this.#write(`retry: ${RETRY_MS}\n\n`);
    try {
      await this.#follow(from);
    } catch (error) {
      if (!this.#ended.signal.aborted) logger.warn({err: error}, 'an event stream ended');
    }
    this.end();
  }

  async #follow(asked: Revision | undefined): Promise<void> {
    for (let from = asked, missed = false; !this.#ended.signal.aborted; from = undefined) {
      const map = new ChangeMap();
      const start = from ?? (await this.#context.store.revision());
      await this.#learn(map);
      this.#place(start, missed);
      try {
        await this.#watch(map, start);
      } catch (error) {
        if (!isError(error, 'compacted')) throw error;
        missed = true;
      }
    }
  }

  /** Reads after the place to start from: what changes in between is learned twice. */
  async #learn(map: ChangeMap): Promise<void> {
    const {store} = this.#context;
    for (const collection of learnedCollections) {
      for (let after: string | undefined; ;) {
        const page = await store.list(collection, after === undefined ? {} : {after});
        for (const record of page.records) map.learn(collection, record.key, record.value);
        if (page.next === undefined) break;
        after = page.next;
      }
    }
  }

  async #watch(map: ChangeMap, from: Revision): Promise<void> {
    const {signal} = this.#ended;
    for await (const batch of this.#context.store.watch({collections: watchedCollections, from, signal})) {
      const changes = map.changes(batch.events, this.#filter);
      this.#at = batch.revision;
      // Only the last event of a batch carries the place: a reader cut off in between gets the whole again.
      this.#write(changes.map((change, index) => eventText(change, index === changes.length - 1 ? batch.revision : undefined)).join(''));
    }
  }

  /** Says from where changes are told; `missed`: that some before it were not. */
  #place(revision: Revision, missed: boolean): void {
    this.#at = revision;
    const reset = `event: reset\ndata: ${JSON.stringify({type: 'reset', message: 'Changes were missed: list again.'})}\n`;
    this.#write(`id: ${revisionText(revision)}\n${missed ? reset : ''}\n`);
  }

  /** Also moves the reader's place on past changes that its filter hid. */
  #beat(): void {
    this.#write(this.#at ? `: heartbeat\nid: ${revisionText(this.#at)}\n\n` : ': heartbeat\n\n');
  }

  #write(text: string): void {
    if (text === '' || this.stream.writableEnded || this.stream.destroyed) return;
    this.stream.write(text);
    if (this.stream.readableLength + this.stream.writableLength <= this.#maxBacklog) return;
    this.#context.logger.info('an event stream was cut off: its reader is too slow');
    this.stream.destroy();
  }
}

function eventText(change: PublicChange, id: Revision | undefined): string {
  return `${id === undefined ? '' : `id: ${revisionText(id)}\n`}data: ${JSON.stringify(change)}\n\n`;
}
