/** Commands in a container, and attaching to its main process, over a raw connection to the engine. */
import {setTimeout as pause} from 'node:timers/promises';
import {runtimeErrors, type ExecOptions, type ExecSession} from '@hivemind/runtime';
import type {Socket} from 'node:net';
import * as z from 'zod';
import {InspectedContainer} from './answers.ts';
import {asking, type Engine} from './engine.ts';
import {Demultiplexer} from './logs.ts';

const InspectedExec = z.object({Running: z.boolean(), ExitCode: z.number().nullish()});
const Waited = z.object({StatusCode: z.number()});
/** The engine closes the stream a moment before it knows the exit code. */
const EXIT_CODE_TRIES = 200;
const EXIT_CODE_RETRY_MS = 10;

type Output = {readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array};

/** @throws `container-not-found`; `runtime-conflict` when it does not run */
export function openExec(engine: Engine, runtimeId: string, options: ExecOptions): Promise<ExecSession> {
  const {command} = options;
  return command === undefined ? attach(engine, runtimeId, options) : execute(engine, runtimeId, command, options);
}

async function execute(engine: Engine, runtimeId: string, command: readonly string[], options: ExecOptions): Promise<ExecSession> {
  const {tty, stdin, env = {}, user, workdir, columns, rows} = options;
  const what = `Running ${command[0] ?? 'a command'}`;
  const exec = await asking(engine, what, () =>
    engine.docker.getContainer(runtimeId).exec({
      Cmd: [...command],
      AttachStdin: stdin,
      AttachStdout: true,
      AttachStderr: true,
      Tty: tty,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...(user === undefined ? {} : {User: user}),
      ...(workdir === undefined ? {} : {WorkingDir: workdir}),
    }),
  );
  const socket = await asking(engine, what, () => engine.hijack(`/exec/${exec.id}/start`, {Detach: false, Tty: tty}));
  const resize = (width: number, height: number): Promise<void> =>
    asking(engine, 'Resizing a terminal', async () => {
      await exec.resize({w: width, h: height});
    }).catch(() => undefined); // It may have ended meanwhile; the exit code tells.
  if (tty && columns !== undefined && rows !== undefined) await resize(columns, rows);
  return session(socket, tty, resize, async () => {
    for (let tries = 0; tries < EXIT_CODE_TRIES; tries++) {
      const {Running, ExitCode} = InspectedExec.parse(await asking(engine, what, () => exec.inspect()));
      if (!Running) return ExitCode ?? 0;
      await pause(EXIT_CODE_RETRY_MS);
    }
    throw runtimeErrors['runtime-failed'](`${what}: the engine does not tell how it ended.`);
  });
}

async function attach(engine: Engine, runtimeId: string, {columns, rows}: ExecOptions): Promise<ExecSession> {
  const what = 'Attaching';
  const container = engine.docker.getContainer(runtimeId);
  const {State, Config} = InspectedContainer.parse(await asking(engine, what, () => container.inspect()));
  if (State.Status !== 'running') throw runtimeErrors['runtime-conflict'](`Attaching failed: the container does not run (it is ${State.Status}).`);
  const socket = await asking(engine, what, () => engine.hijack(`/containers/${runtimeId}/attach?stream=1&stdin=1&stdout=1&stderr=1`, {}));
  const ended = asking(engine, what, () => container.wait({condition: 'not-running'}), Infinity).then((answer) => Waited.parse(answer).StatusCode);
  ended.catch(() => undefined);
  const resize = (width: number, height: number): Promise<void> =>
    asking(engine, 'Resizing a terminal', async () => {
      await container.resize({w: width, h: height});
    }).catch(() => undefined);
  if (Config.Tty && columns !== undefined && rows !== undefined) await resize(columns, rows);
  return session(socket, Config.Tty, resize, () => ended);
}

function session(socket: Socket, tty: boolean, resize: ExecSession['resize'], askExitCode: () => Promise<number>): ExecSession {
  const closed = new Promise<void>((resolve) => socket.once('close', resolve));
  const over = new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', resolve);
  });
  // A reset shows as the end of the output; the engine is then asked how it went.
  socket.on('error', () => undefined);
  const exitCode = over.then(askExitCode);
  exitCode.catch(() => undefined);
  return {
    output: output(socket, tty),
    write: (data) => written(socket, data, closed),
    endInput: () => {
      if (!socket.writableEnded) socket.end();
    },
    resize,
    exitCode,
    close: () => socket.destroy(),
  };
}

async function* output(socket: Socket, tty: boolean): AsyncGenerator<Output> {
  const demultiplexer = new Demultiplexer();
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      if (tty) yield {stream: 'stdout', data: chunk};
      else for (const {stream, data} of demultiplexer.push(chunk)) yield {stream, data};
    }
  } catch (error) {
    if (!socket.destroyed) throw error;
  }
}

/** Resolves when there is room for more. What the process no longer reads is dropped. */
function written(socket: Socket, data: Uint8Array, closed: Promise<void>): Promise<void> {
  if (socket.destroyed || socket.writableEnded || socket.write(data)) return Promise.resolve();
  return Promise.race([new Promise<void>((resolve) => socket.once('drain', resolve)), closed]);
}
