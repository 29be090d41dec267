/**
 * `GET /containers/{id}/exec`, a WebSocket: a command in a container, or its main process. The protocol is in
 * docs/api-exec.md. What is refused is refused before the upgrade, as problem+json.
 */
import {open, type TypedStream} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import {NamespaceQuery, queryFlag, queryInteger} from '@hivemind/service';
import type {FastifyRequest} from 'fastify';
import type {ZodTypeProvider} from 'fastify-type-provider-zod';
import type {RawData, WebSocket} from 'ws';
import * as z from 'zod';
import {channels, FrameDecoder} from '../../core/exec-frames.ts';
import {containerErrors} from '../../errors.ts';
import {asking, ContainerParams, failureLine, findContainer, tags, type RouteContext} from './context.ts';

/** What a browser has to offer beside its token, and gets back. */
const SUBPROTOCOL = 'hivemind.exec.v1';
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** A client that does not answer a ping until the next one is gone. */
const PING_MS = 30_000;
/** Close codes of RFC 6455. */
const closeCodes = {done: 1000, unsupported: 1003, policy: 1008, failed: 1011} as const;

const several = z.union([z.string().transform((one) => [one]), z.array(z.string())]);
const size = queryInteger(1, 10_000).optional();
const ExecQuery = NamespaceQuery.extend({
  command: several.optional(),
  attach: queryFlag.default(false),
  tty: queryFlag.default(false),
  stdin: queryFlag.default(false),
  env: several.default([]).pipe(z.array(z.string().regex(/^[^=]+=/, 'is not a variable: write NAME=value'))),
  user: z.string().min(1).optional(),
  workdir: z.string().regex(/^\//, 'is not an absolute path').optional(),
  columns: size,
  rows: size,
}).refine(({command, attach}) => attach !== (command !== undefined), {path: ['command'], message: 'is needed, or attach=true: repeat command for each argument'});

const Control = z.union([
  z.strictObject({columns: z.number().int().min(1).max(10_000), rows: z.number().int().min(1).max(10_000)}),
  z.strictObject({endInput: z.literal(true)}),
]);

type ExecStream = TypedStream<z.input<typeof subjects.execStream.controlIn>, z.output<typeof subjects.execStream.controlOut>>;

export async function execRoute(routes: RouteContext): Promise<void> {
  const {default: websocket} = await import('@fastify/websocket');
  /** Opened before the upgrade, so that a refusal is an answer. */
  const opened = new WeakMap<FastifyRequest['raw'], ExecStream>();

  await routes.app.register(async (app) => {
    if (!app.hasDecorator('websocketServer')) {
      await app.register(websocket, {options: {maxPayload: MAX_MESSAGE_BYTES, handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL}});
    }
    app.withTypeProvider<ZodTypeProvider>().route({
      method: 'GET',
      url: '/containers/:id/exec',
      schema: {summary: 'Run a command in it, or attach to it (WebSocket)', tags, params: ContainerParams, querystring: ExecQuery},
      preHandler: async (request) => {
        if (!request.ws) return;
        const {params, query} = request;
        const {id, node} = findContainer(routes, params.id, query.namespace).value;
        opened.set(request.raw, await openExec(routes, node, id, query));
      },
      handler: (_request, reply) => {
        void reply.header('upgrade', 'websocket');
        throw containerErrors['upgrade-required']('This route is a WebSocket: connect with ws:// or wss://, as docs/api-exec.md says.');
      },
      wsHandler: async (socket, request) => {
        const stream = opened.get(request.raw);
        if (stream) await relay(socket, stream);
        else socket.close(closeCodes.failed);
      },
    });
  });
}

async function openExec({context}: RouteContext, node: string, id: string, query: z.output<typeof ExecQuery>): Promise<ExecStream> {
  const {command, tty, stdin, env, user, workdir, columns, rows} = query;
  const variables = Object.fromEntries(env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
  return asking(node, () => open(context.bus, subjects.execStream, {node}, {id, command, tty, stdin, env: variables, user, workdir, columns, rows}));
}

async function relay(socket: WebSocket, stream: ExecStream): Promise<void> {
  socket.once('close', () => stream.destroy());
  const stopPinging = keepAlive(socket);
  socket.on('message', (data, isBinary) => receive(socket, stream, data, isBinary));
  try {
    const decoder = new FrameDecoder();
    for await (const chunk of stream.readable) {
      for (const {channel, data} of decoder.push(chunk)) await send(socket, channel, data);
    }
    // Its output is all there: the last word is how it ended.
    for await (const {exitCode} of stream.controls) await sendControl(socket, {exitCode});
    socket.close(closeCodes.done);
  } catch (error) {
    const {error: detail, code} = failureLine(error);
    await sendControl(socket, {error: {code, detail}});
    socket.close(closeCodes.failed, code);
  } finally {
    stopPinging();
  }
}

/** One message of the client. The socket waits while the container does not read. */
function receive(socket: WebSocket, stream: ExecStream, message: RawData, isBinary: boolean): void {
  if (!isBinary) return socket.close(closeCodes.unsupported, 'messages are binary: a channel byte and data');
  const bytes = asBuffer(message);
  const data = bytes.subarray(1);
  switch (bytes[0]) {
    case channels.stdin:
      socket.pause();
      stream.write(data).catch(() => undefined).finally(() => socket.resume());
      return;
    case channels.control:
      return control(socket, stream, data);
    default:
      socket.close(closeCodes.policy, 'a client sends on channels 0 and 3');
  }
}

function control(socket: WebSocket, stream: ExecStream, data: Buffer): void {
  const parsed = Control.safeParse(parseJson(data));
  if (!parsed.success) socket.close(closeCodes.policy, 'channel 3 carries {"columns","rows"} or {"endInput":true}');
  // The command may be over by now.
  else if ('endInput' in parsed.data) stream.end().catch(() => undefined);
  else stream.send(parsed.data).catch(() => undefined);
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    return undefined;
  }
}

function sendControl(socket: WebSocket, value: object): Promise<void> {
  return send(socket, channels.control, Buffer.from(JSON.stringify(value)));
}

/** Resolves when it is on its way, also when the socket is gone: its `close` ends the stream. */
function send(socket: WebSocket, channel: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve) => socket.send(Buffer.concat([Buffer.of(channel), data]), () => resolve()));
}

function keepAlive(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => (answered = true));
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, PING_MS).unref();
  return () => clearInterval(timer);
}

function asBuffer(message: RawData): Buffer {
  if (Array.isArray(message)) return Buffer.concat(message);
  return Buffer.isBuffer(message) ? message : Buffer.from(message);
}
