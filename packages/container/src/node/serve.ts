/** What people may ask of one machine's containers and images: served here, each through the runtime. */
import {serve, serveStream, type Subscription, type TypedStream} from '@hivemind/bus';
import {type LogLine} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {runtimeErrors, type ExecSession, type Runtime} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type * as z from 'zod';
import {channels, encodeFrames} from '../core/exec-frames.ts';
import type {Bus} from '@hivemind/bus';
import {followLogs} from './follow.ts';
import {jsonPieces} from './ndjson.ts';

export interface ContainerNodeOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly runtime: Runtime;
  readonly logger: Logger;
  /** Our id → the engine's; asks the runtime when absent. */
  readonly resolve?: (id: string) => Promise<string | undefined> | string | undefined;
  /** Stop and start it now, whatever its back-off. Not served when absent. */
  readonly restart?: (id: string) => Promise<void>;
  /** An image was fetched. */
  readonly onPulled?: (image: string) => void;
}

export interface ContainerNode {
  /** Takes no new requests; streams that are open end with the bus. */
  stop(): Promise<void>;
}

export async function serveContainerNode(options: ContainerNodeOptions): Promise<ContainerNode> {
  const {bus, node, runtime, restart} = options;
  const to = {node};
  const find = async (id: string): Promise<string> => {
    const runtimeId = options.resolve ? await options.resolve(id) : (await runtime.inspect(id))?.runtimeId;
    if (runtimeId === undefined) throw runtimeErrors['container-not-found'](`The engine of node ${node} has no container ${id} (yet): its status says what it waits for.`);
    return runtimeId;
  };

  const served = [
    serveStream(bus, subjects.streamLogs, to, async (stream, {id, ...wanted}) => {
      const over = signalOf(stream);
      const lines = followLogs(runtime, id, await find(id), wanted, over);
      await pipe(jsonPieces(labelled(lines, id, node)), stream);
    }),
    serveStream(bus, subjects.execStream, to, async (stream, {id, ...wanted}) => {
      await runExec(stream, await runtime.exec(await find(id), wanted));
    }),
    serveStream(bus, subjects.pullImage, to, async (stream, {image, credentials}) => {
      await pipe(jsonPieces(runtime.pull(image, credentials, signalOf(stream))), stream);
      options.onPulled?.(image);
    }),
    serveStream(bus, subjects.buildImage, to, async (stream, wanted) => {
      await pipe(jsonPieces(runtime.build(stream.readable, wanted, signalOf(stream))), stream);
    }),
    serveStream(bus, subjects.importImages, to, async (stream) => {
      await pipe(jsonPieces(runtime.importImages(stream.readable, signalOf(stream))), stream);
    }),
    serveStream(bus, subjects.exportImage, to, async (stream, {image}) => {
      await pipe(runtime.exportImage(image, signalOf(stream)), stream);
    }),
    serve(bus, subjects.removeImage, to, async ({image}) => {
      await runtime.removeImage(image);
      return {};
    }),
    serve(bus, subjects.getStats, to, async ({ids}) => ({stats: [...(await runtime.stats(ids))]})),
    serve(bus, subjects.listImages, to, async () => ({images: (await runtime.images()).map((image) => ({...image, node}))})),
    ...(restart
      ? [serve(bus, subjects.restartContainer, to, async ({id}) => {
          await restart(id);
          return {};
        })]
      : []),
  ];
  const subscriptions: Subscription[] = await Promise.all(served);
  return {
    stop: async () => {
      await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
    },
  };
}

type ExecStream = TypedStream<z.input<typeof subjects.execStream.controlOut>, z.output<typeof subjects.execStream.controlIn>>;
type Outlet = Pick<ExecStream, 'write'>;

/** The command's output goes out as frames, its input comes in as it is; the exit code is the last word. */
async function runExec(stream: ExecStream, session: ExecSession): Promise<void> {
  const leave = (): void => session.close();
  stream.closed.then(leave, leave);
  const input = async (): Promise<void> => {
    for await (const chunk of stream.readable) await session.write(chunk);
    session.endInput();
  };
  const sizes = async (): Promise<void> => {
    for await (const {columns, rows} of stream.controls) await session.resize(columns, rows);
  };
  // They end with the stream, and a stream that broke shows when it is written to.
  input().catch(leave);
  sizes().catch(leave);
  for await (const {stream: name, data} of session.output) await stream.write(encodeFrames(channels[name], data));
  await stream.send({exitCode: await session.exitCode});
}

async function* labelled(lines: AsyncIterable<Pick<LogLine, 'time' | 'stream' | 'line'>>, container: string, node: string): AsyncGenerator<LogLine> {
  for await (const {time, stream, line} of lines) yield {time, container, node, stream, line};
}

async function pipe(pieces: AsyncIterable<Uint8Array>, stream: Outlet): Promise<void> {
  for await (const piece of pieces) await stream.write(piece);
}

/** Aborted when the stream is over, by whichever side. */
function signalOf(stream: Pick<ExecStream, 'closed'>): AbortSignal {
  const over = new AbortController();
  const abort = (): void => over.abort();
  stream.closed.then(abort, abort);
  return over.signal;
}
