/** Commands in a container, through pipes of their own, and attaching to its main process by its log. */
import {randomUUID} from 'node:crypto';
import {rm} from 'node:fs/promises';
import type {Socket} from 'node:net';
import {join} from 'node:path';
import {runtimeErrors, type ExecOptions, type ExecSession} from '@hivemind/runtime';
import {type ContainerdClient, isStatus, wordsOf} from './api/client.ts';
import {execProcess} from './core/oci-spec.ts';
import {specText} from './core/spec-text.ts';
import type {User} from './core/users.ts';
import {containerdError} from './errors.ts';
import {openPipe, openPipeToWrite} from './logs/pump.ts';
import {ownMark} from './owner.ts';
import {missingCommand} from '../missing-command.ts';
import type {Place} from './place.ts';

type Output = {readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array};

/** By convention of shells: found, but not to be run. */
const CANNOT_RUN = 126;
const KILL = 9;

export interface ExecTarget {
  readonly client: ContainerdClient;
  readonly place: Place;
  readonly runtimeId: string;
  /** `process` of its spec. */
  readonly main: Readonly<Record<string, unknown>>;
  readonly user?: User;
}

/** @throws `container-not-found`; `runtime-conflict` when it does not run */
export async function execute({client, place, runtimeId, main, user}: ExecTarget, command: readonly string[], options: ExecOptions): Promise<ExecSession> {
  const {tty, stdin, env = {}, workdir, columns, rows} = options;
  const execId = `exec-${await ownMark()}-${randomUUID()}`;
  const process = {containerId: runtimeId, execId};
  const dir = place.pipes(runtimeId, execId);
  const pipe = (name: string): string => join(dir, name);
  const names = [...(stdin ? ['stdin'] : []), 'stdout', ...(tty ? [] : ['stderr'])];
  await place.makePipes(dir, names);
  const outputs: Socket[] = [];
  const cleanUp = async (): Promise<void> => {
    await client.call('deleteProcess', process).catch(() => undefined);
    await rm(dir, {recursive: true, force: true});
  };
  try {
    for (const name of names.filter((each) => each !== 'stdin')) outputs.push(await openPipe(pipe(name)));
    const spec = execProcess(main, {command, tty, env, ...(user ? {user} : {}), ...(workdir === undefined ? {} : {workdir}), ...(columns === undefined ? {} : {columns}), ...(rows === undefined ? {} : {rows})});
    await client.call('exec', {...process, terminal: tty, stdin: stdin ? pipe('stdin') : '', stdout: pipe('stdout'), stderr: tty ? '' : pipe('stderr'), spec: {typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value: Buffer.from(specText(spec))}});
    const ended = client.call('wait', process, {deadlineMs: Infinity});
    ended.catch(() => undefined);
    await client.call('startTask', process);
    const input = stdin ? await openPipeToWrite(pipe('stdin')) : undefined;
    const exitCode = ended.then(({exitStatus}) => exitStatus).finally(() => {
      input?.destroy();
      void cleanUp();
    });
    exitCode.catch(() => undefined);
    return sessionOf(client, process, outputs, input, exitCode, tty);
  } catch (error) {
    for (const socket of outputs) socket.destroy();
    await cleanUp();
    const said = missingCommand(wordsOf(error));
    // As an engine that has begun to run it: the output says why it did not come to that.
    if (said !== undefined) return failed(said);
    if (isStatus(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) throw runtimeErrors['runtime-conflict'](`Running ${command[0] ?? 'a command'} failed: the container does not run.`, {cause: error});
    throw containerdError(error, `Running ${command[0] ?? 'a command'}`, client.socketPath);
  }
}

function sessionOf(client: ContainerdClient, process: {readonly containerId: string; readonly execId: string}, outputs: readonly Socket[], input: Socket | undefined, exitCode: Promise<number>, tty: boolean): ExecSession {
  const over = exitCode.then(() => undefined, () => undefined);
  let left = false;
  return {
    output: merged(outputs, tty),
    write: (data) => {
      if (!input || input.destroyed || input.writableEnded || input.write(data)) return Promise.resolve();
      return Promise.race([new Promise<void>((resolve) => input.once('drain', resolve)), over]);
    },
    endInput: () => {
      if (!input || input.writableEnded) return;
      // The shim holds the pipe too: it lets go when it is told, once all of it is written.
      input.end(() => void client.call('closeIo', {...process, stdin: true}).catch(() => undefined));
    },
    resize: async (width, height) => void (await client.call('resizePty', {...process, width, height}).catch(() => undefined)),
    exitCode,
    close: () => {
      if (left) return;
      left = true;
      for (const socket of outputs) socket.destroy();
      // Nobody reads it any more, and its output would fill the pipe.
      void client.call('kill', {...process, signal: KILL}).catch(() => undefined);
    },
  };
}

/** Both streams, as they come. */
async function* merged(sockets: readonly Socket[], tty: boolean): AsyncGenerator<Output> {
  const waiting: Output[] = [];
  let open = sockets.length;
  let wake = Promise.withResolvers<void>();
  for (const [at, socket] of sockets.entries()) {
    const stream = at === 1 && !tty ? 'stderr' : 'stdout';
    socket.on('data', (data: Buffer) => {
      waiting.push({stream, data});
      socket.pause();
      wake.resolve();
    });
    socket.on('error', () => socket.destroy());
    if (socket.destroyed) open--;
    else {
      socket.once('close', () => {
        open--;
        wake.resolve();
      });
    }
  }
  while (open > 0 || waiting.length > 0) {
    yield* waiting.splice(0);
    for (const socket of sockets) socket.resume();
    if (open === 0) continue;
    await wake.promise;
    wake = Promise.withResolvers<void>();
  }
}

function failed(message: string): ExecSession {
  return {
    output: (async function* (): AsyncGenerator<Output> {
      await Promise.resolve();
      yield {stream: 'stdout', data: Buffer.from(`${message}\n`)};
    })(),
    write: () => Promise.resolve(),
    endInput: () => undefined,
    resize: () => Promise.resolve(),
    exitCode: Promise.resolve(CANNOT_RUN),
    close: () => undefined,
  };
}
