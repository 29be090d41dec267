/** One probe: ask the container, and say what was seen. Never rejects for what the container does. */
import {request} from 'node:http';
import {connect} from 'node:net';
import {isNativeError} from 'node:util/types';
import {isError, type Probe} from '@hivemind/contracts';
import type {Runtime, RuntimeContainer} from '@hivemind/runtime';
import type {Result} from '../core/probes.ts';

/** Of a command's output, in a message. */
const SHOWN_CHARACTERS = 200;

/** @returns undefined when the container could not be asked for no fault of its own: the engine is away */
export async function runProbe(runtime: Pick<Runtime, 'exec'>, container: RuntimeContainer, probe: Probe, signal: AbortSignal): Promise<Result | undefined> {
  try {
    if (probe.http) return await probeHttp(addressOf(container, probe.http.port), probe.http, signal);
    if (probe.tcp) return await probeTcp(addressOf(container, probe.tcp.port), signal);
    if (probe.exec) return await probeExec(runtime, container.runtimeId, probe.exec, signal);
    return {ok: false, message: 'a grpc probe is not acted upon'};
  } catch (error) {
    if (isError(error, 'runtime-unavailable')) return undefined;
    return {ok: false, message: isNativeError(error) ? error.message : String(error)};
  }
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** The container's own address; where it has none (host network), the machine's end of the port. */
function addressOf({ip, ports}: RuntimeContainer, port: number): Address {
  if (ip !== undefined) return {host: ip, port};
  return {host: '127.0.0.1', port: ports.find((binding) => binding.container === port && binding.host !== undefined)?.host ?? port};
}

function probeHttp({host, port}: Address, {path, headers}: NonNullable<Probe['http']>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => resolve({ok: false, message: `GET ${path} on port ${port}: ${reasonOf(error, signal)}`});
    // A fresh connection each time: that the server accepts one is part of the question.
    const call = request({host, port, path, headers: {'user-agent': 'hivemind-probe', connection: 'close', ...headers}, agent: false, signal}, (response) => {
      const status = response.statusCode ?? 0;
      response.on('error', () => undefined).destroy();
      resolve({ok: status >= 200 && status < 400, message: `GET ${path} on port ${port}: status ${status}`});
    });
    call.on('error', fail).end();
  });
}

function probeTcp({host, port}: Address, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve) => {
    const socket = connect({host, port, signal});
    socket.once('connect', () => {
      socket.destroy();
      resolve({ok: true, message: `port ${port} accepts connections`});
    });
    socket.once('error', (error) => resolve({ok: false, message: `connecting to port ${port}: ${reasonOf(error, signal)}`}));
  });
}

async function probeExec(runtime: Pick<Runtime, 'exec'>, runtimeId: string, command: readonly string[], signal: AbortSignal): Promise<Result> {
  const name = command[0] ?? '';
  const session = await runtime.exec(runtimeId, {command, tty: false, stdin: false});
  const close = (): void => session.close();
  signal.addEventListener('abort', close, {once: true});
  try {
    let output = '';
    for await (const {data} of session.output) if (output.length < SHOWN_CHARACTERS) output += Buffer.from(data).toString('utf8');
    if (signal.aborted) return {ok: false, message: `${name}: no answer in time`};
    const exitCode = await session.exitCode;
    const said = output.trim().slice(0, SHOWN_CHARACTERS);
    return {ok: exitCode === 0, message: `${name} exited with ${exitCode}${said === '' ? '' : `: ${said}`}`};
  } finally {
    signal.removeEventListener('abort', close);
    session.close();
  }
}

function reasonOf(error: Error, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time';
  return 'code' in error && error.code === 'ECONNREFUSED' ? 'connection refused' : error.message;
}
