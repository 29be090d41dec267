/** Images on the machines: list, pull, build, import, export, remove. Progress is lines of JSON; the last says `done` or what failed. */
import {PassThrough, Readable} from 'node:stream';
import {call, open, type ByteStream} from '@hivemind/bus';
import {commonErrors, ImageInfo, isError, nodeState, RegistryCredentials} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {listQuery, listReply, queryFlag} from '@hivemind/service';
import type {FastifyReply} from 'fastify';
import type {ZodTypeProvider} from 'fastify-type-provider-zod';
import * as z from 'zod';
import {containerErrors} from '../../errors.ts';
import {jsonLines} from '../../core/json-lines.ts';
import {asking, failureLine, type RouteContext} from './context.ts';

const tags = ['image'];
const Image = ImageInfo.extend({kind: z.literal('Image'), name: z.string()});
const ListImages = listQuery({item: Image, filters: ['node'], namespaced: false});
const PullBody = z.strictObject({
  image: z.string().min(1).max(1024).regex(/^\S+$/, 'has white space in it'),
  /** All machines when absent. */
  node: z.string().optional(),
  credentials: z.strictObject(RegistryCredentials.shape).optional(),
});
const several = z.union([z.string().transform((one) => [one]), z.array(z.string())]).default([]);
const pairs = several.pipe(z.array(z.string().regex(/^[^=]+=/, 'is not a pair: write NAME=value'))).transform((entries) => Object.fromEntries(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)])));
const BuildQuery = z.strictObject({
  tag: z.string().min(1).max(1024).regex(/^\S+$/, 'has white space in it'),
  dockerfile: z.string().min(1).default('Dockerfile'),
  /** Repeated: NAME=value. */
  args: pairs,
  labels: pairs,
  target: z.string().min(1).optional(),
  noCache: queryFlag.default(false),
  /** Repeated: host:address. */
  extraHosts: several,
  /** All machines when absent, since any of them may run it. */
  node: z.string().optional(),
});
const Name = z.string().min(1).max(1024).regex(/^\S+$/, 'has white space in it');
const OneOrAll = z.strictObject({
  /** All machines when absent. */
  node: z.string().optional(),
});
/** A tar, as it is or compressed; not held in memory. */
const TAR_TYPES = ['application/x-tar', 'application/tar', 'application/gzip', 'application/x-gzip', 'application/octet-stream'];

type ProgressStream = Pick<ByteStream, 'readable' | 'write' | 'end' | 'destroy'>;
interface NodeStream {
  readonly node: string;
  readonly stream: ProgressStream;
}

export async function imageRoutes(routes: RouteContext): Promise<void> {
  const {app, context, tables} = routes;
  const {bus} = context;

  app.get('/images', {schema: {summary: 'Images on the machines; those of a machine that does not answer are left out, and it is named', tags, querystring: ListImages}}, async ({query}) => {
    const nodes = targets(routes, query.node);
    const answers = await Promise.allSettled(nodes.map((node) => asking(node, () => call(bus, subjects.listImages, {node}, {}))));
    const failed = nodes.flatMap((node, index) => {
      const answer = answers[index];
      return answer?.status === 'rejected' ? [{node, reason: failureLine(answer.reason).error}] : [];
    });
    const first = answers.find((answer) => answer.status === 'rejected');
    if (first && failed.length === nodes.length) throw first.reason;
    const images = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.images : []));
    const items = images.map((image) => ({kind: 'Image' as const, name: image.tags[0] ?? image.id, ...image}));
    return {...listReply(items, query, tables.leases.revision), unavailable: failed};
  });

  app.post('/images/pull', {schema: {summary: 'Pull an image to one machine or all; progress as lines of JSON', tags, body: PullBody}}, async (request, reply) => {
    const {image, node: asked, credentials} = request.body;
    const streams = await openAll(targets(routes, asked), (node) => open(bus, subjects.pullImage, {node}, {image, credentials}));
    return relayProgress(reply, streams);
  });

  app.delete('/images/:image', {schema: {summary: 'Remove an image from one machine or all, by its name (URL-encoded); one that a container is made from is kept, 409', tags, params: z.object({image: Name}), querystring: OneOrAll}}, async ({params: {image}, query: {node: asked}}, reply) => {
    const nodes = targets(routes, asked);
    const answers = await Promise.allSettled(nodes.map((node) => asking(node, () => call(bus, subjects.removeImage, {node}, {image}))));
    const first = answers.find((answer) => answer.status === 'rejected');
    if (first) throw first.reason;
    return reply.status(204).send();
  });

  app.get('/images/export', {schema: {summary: 'An image as an archive, from the machine that is named or the first that has it', tags, querystring: z.strictObject({image: Name, node: z.string().optional()})}}, async ({query: {image, node: asked}}, reply) => {
    let failure: unknown;
    for (const node of targets(routes, asked)) {
      const stream = await asking(node, () => open(bus, subjects.exportImage, {node}, {image}));
      const parts = stream.readable[Symbol.asyncIterator]();
      try {
        // What cannot be is said before the first byte.
        const first = await parts.next();
        reply.raw.once('close', () => stream.destroy());
        return await reply.type('application/x-tar').send(Readable.from(resumed(first, parts), {objectMode: false}));
      } catch (error) {
        stream.destroy();
        failure = error;
        if (!isError(error, 'image-not-found')) throw error;
      }
    }
    throw failure;
  });

  await app.register(async (scope) => {
    scope.addContentTypeParser(TAR_TYPES, (_request: unknown, payload: NodeJS.ReadableStream, done: (error: null, body: unknown) => void) => done(null, payload));
    scope.withTypeProvider<ZodTypeProvider>().post('/images/build', {schema: {summary: 'Build an image from a tar on one machine or all; progress as lines of JSON', tags, querystring: BuildQuery, body: z.unknown()}}, async (request, reply) => {
      const tar = request.body;
      if (!(tar instanceof Readable)) throw commonErrors.malformed('The build context is missing: send a tar with Content-Type application/x-tar.');
      const {node: asked, ...wanted} = request.query;
      const streams = await openAll(targets(routes, asked), (node) => open(bus, subjects.buildImage, {node}, wanted));
      void feed(tar, streams.map(({stream}) => stream));
      return relayProgress(reply, streams);
    });
    scope.withTypeProvider<ZodTypeProvider>().post('/images/import', {schema: {summary: 'Import images from an archive (docker save, OCI) to one machine or all; progress as lines of JSON', tags, querystring: OneOrAll, body: z.unknown()}}, async (request, reply) => {
      const tar = request.body;
      if (!(tar instanceof Readable)) throw commonErrors.malformed('The archive is missing: send a tar with Content-Type application/x-tar.');
      const streams = await openAll(targets(routes, request.query.node), (node) => open(bus, subjects.importImages, {node}, {}));
      void feed(tar, streams.map(({stream}) => stream));
      return relayProgress(reply, streams);
    });
  });
}

async function* resumed({value, done}: IteratorResult<Uint8Array>, parts: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (done === true) return;
  yield value;
  yield* {[Symbol.asyncIterator]: () => parts};
}

/** On every machine, or on none. @throws `node-not-connected` */
async function openAll(nodes: readonly string[], openOne: (node: string) => Promise<ProgressStream>): Promise<readonly NodeStream[]> {
  const opened = await Promise.allSettled(nodes.map(async (node) => ({node, stream: await asking(node, () => openOne(node))})));
  const streams = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = opened.find((one) => one.status === 'rejected');
  if (!failure) return streams;
  for (const {stream} of streams) stream.destroy();
  throw failure.reason;
}

/**
 * The asked machine, or all that are heard or were a moment ago: one that is busy and late is not passed over in silence.
 * @throws `node-not-connected` when there is none
 */
function targets({tables}: RouteContext, asked: string | undefined): readonly string[] {
  const ready = tables.nodeStatus.list().filter(({key}) => nodeState(tables.verdicts.get(key)?.value, true) === 'ready');
  const heard = [...new Set([...tables.leases.list(), ...ready].map(({key}) => key))].toSorted();
  if (asked === undefined && heard.length > 0) return heard;
  if (asked !== undefined && heard.includes(asked)) return [asked];
  throw containerErrors['node-not-connected'](asked === undefined ? 'No machine is connected now: GET /nodes lists them.' : `Node ${asked} is not connected: GET /nodes lists those that are.`);
}

/** The tar goes to every machine at the pace of the slowest. One that failed says so in its progress, and is passed over. */
async function feed(tar: Readable, streams: readonly ProgressStream[]): Promise<void> {
  const live = new Set(streams);
  const give = (action: (stream: ProgressStream) => Promise<void>): Promise<unknown> =>
    Promise.all([...live].map((stream) => action(stream).catch(() => live.delete(stream))));
  try {
    for await (const chunk of tar) await give((stream) => stream.write(Buffer.from(chunk)));
    await give((stream) => stream.end());
  } catch {
    // The client went away: its answer's close ends the streams.
  }
}

/** Progress of several machines in one answer, each line with its node. The streams end when the client goes. */
function relayProgress(reply: FastifyReply, streams: readonly NodeStream[]): FastifyReply {
  const lines = new PassThrough();
  reply.raw.once('close', () => {
    lines.destroy();
    for (const {stream} of streams) stream.destroy();
  });
  const put = async (line: object): Promise<void> => {
    if (!lines.destroyed && !lines.write(`${JSON.stringify(line)}\n`)) await Promise.race([new Promise((resolve) => lines.once('drain', resolve)), new Promise((resolve) => lines.once('close', resolve))]);
  };
  const relays = streams.map(async ({node, stream}) => {
    try {
      for await (const progress of jsonLines(stream.readable)) await put({node, ...Object(progress)});
    } catch (error) {
      await put({node, ...failureLine(error)});
    }
  });
  void Promise.all(relays).then(() => lines.end());
  return reply.type('application/x-ndjson').send(lines);
}
