/**
 * A command in a container over a WebSocket (docs/api-exec.md). Every message is binary: one byte of channel, then data.
 * 0: input; 1 and 2: output; 3: JSON, the size of the terminal one way, how it ended the other.
 */
import {WebSocket} from 'ws';
import {HivemindError, ErrorBody} from '@hivemind/contracts';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import type {OutputStream} from '../terminal.ts';
import {connectionError, path} from './client.ts';

const channels = {stdin: 0, stdout: 1, stderr: 2, control: 3} as const;
const Ended = z.union([z.object({exitCode: z.number().int()}), z.object({error: z.object({code: z.string(), detail: z.string()})})]);
const Refusal = ErrorBody.partial().extend({status: z.number().optional()});
/** Ctrl-P Ctrl-Q: lets go of a process without ending it, as with the engine's own client. */
const DETACH = Buffer.of(0x10, 0x11);

export interface ExecRequest {
  readonly command?: readonly string[];
  /** In place of a command: the main process. */
  readonly attach?: boolean;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly env?: readonly string[];
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
}

/** @returns the exit code of the command */
export async function runInContainer(session: Session, container: string, request: ExecRequest): Promise<number> {
  const socket = connect(session, container, request);
  const {terminal} = session;
  const raw = request.tty && terminal.in.isTTY === true;
  const ended = Promise.withResolvers<number>();
  let exitCode: number | undefined;
  const detach = (): void => {
    exitCode = 0;
    socket.close(1000);
  };
  socket.on('message', (data: Buffer) => {
    const payload = data.subarray(1);
    if (data[0] === channels.stdout) write(socket, terminal.out, payload);
    else if (data[0] === channels.stderr) write(socket, terminal.err, payload);
    else if (data[0] === channels.control) {
      const word = Ended.parse(JSON.parse(payload.toString('utf8')));
      if ('exitCode' in word) exitCode = word.exitCode;
      else ended.reject(new HivemindError(word.error.code, {status: 500, title: word.error.code}, word.error.detail));
    }
  });
  socket.on('error', (error: NodeJS.ErrnoException) => ended.reject(connectionError(error, session.api.server)));
  socket.on('close', () => (exitCode === undefined ? ended.reject(cliErrors['connection-lost']('The connection was lost before the command ended.')) : ended.resolve(exitCode)));
  const stopInput = request.stdin ? sendInput(socket, session, detach) : (): void => undefined;
  const stopResize = request.tty ? sendSize(socket, terminal.out) : (): void => undefined;
  if (raw) terminal.in.setRawMode?.(true);
  try {
    return await ended.promise;
  } finally {
    stopInput();
    stopResize();
    if (raw) terminal.in.setRawMode?.(false);
    socket.terminate();
  }
}

function connect({api, namespace, terminal}: Session, container: string, request: ExecRequest): WebSocket {
  const url = new URL(`${api.server.replace(/^http/, 'ws').replace(/\/+$/, '')}/api/v1${path`/containers/${container}/exec`}`);
  if (namespace === '*') throw cliErrors['wrong-usage']('a container is in one namespace');
  for (const word of request.command ?? []) url.searchParams.append('command', word);
  for (const variable of request.env ?? []) url.searchParams.append('env', variable);
  if (request.attach === true) url.searchParams.set('attach', 'true');
  url.searchParams.set('tty', String(request.tty));
  url.searchParams.set('stdin', String(request.stdin));
  for (const name of ['user', 'workdir'] as const) if (request[name] !== undefined) url.searchParams.set(name, request[name]);
  if (request.tty && terminal.out.columns !== undefined && terminal.out.rows !== undefined) {
    url.searchParams.set('columns', String(terminal.out.columns));
    url.searchParams.set('rows', String(terminal.out.rows));
  }
  const socket = new WebSocket(url, {perMessageDeflate: false, ...api.trust, headers: api.token === undefined ? {} : {authorization: `Bearer ${api.token}`}});
  // Refused before the upgrade: the answer says why.
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => socket.emit('error', refusal(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))));
  });
  return socket;
}

function refusal(status: number, text: string): Error {
  try {
    const {code, detail, title} = Refusal.parse(JSON.parse(text));
    if (code !== undefined) return new HivemindError(code, {status, title: title ?? code}, detail ?? title ?? code);
  } catch {
    // Not a problem document: said below.
  }
  return cliErrors['not-hivemind'](`The server answered ${status} to exec, and not as Hivemind does.`);
}

/** Output at the pace of who reads it. */
function write(socket: WebSocket, to: OutputStream, data: Buffer): void {
  if (to.write(data)) return;
  socket.pause();
  to.once('drain', () => socket.resume());
}

/** Input as it comes, and its end; held back until the socket is open. */
function sendInput(socket: WebSocket, {terminal}: Session, detach: () => void): () => void {
  const send = (data: Buffer): void => {
    if (data.equals(DETACH)) return detach();
    socket.send(Buffer.concat([Buffer.of(channels.stdin), data]), () => (socket.bufferedAmount === 0 ? terminal.in.resume() : undefined));
    if (socket.bufferedAmount > 1024 * 1024) terminal.in.pause();
  };
  const onData = (chunk: Buffer | string): void => send(Buffer.from(chunk));
  const onEnd = (): void => sendControl(socket, {endInput: true});
  const begin = (): void => {
    terminal.in.on('data', onData);
    terminal.in.on('end', onEnd);
    terminal.in.resume();
  };
  if (socket.readyState === WebSocket.OPEN) begin();
  else socket.once('open', begin);
  return () => {
    terminal.in.off('data', onData);
    terminal.in.off('end', onEnd);
    terminal.in.pause();
  };
}

function sendSize(socket: WebSocket, out: OutputStream): () => void {
  const onResize = (): void => {
    if (out.columns !== undefined && out.rows !== undefined && socket.readyState === WebSocket.OPEN) sendControl(socket, {columns: out.columns, rows: out.rows});
  };
  out.on('resize', onResize);
  return () => void out.off('resize', onResize);
}

function sendControl(socket: WebSocket, value: object): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(Buffer.concat([Buffer.of(channels.control), Buffer.from(JSON.stringify(value))]));
}
