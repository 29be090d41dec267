/**
 * The connection to one Docker Engine: dockerode over a keep-alive agent. Loading it is put off until the driver is made,
 * so that who never runs containers does not pay for it.
 */
import {createRequire, Module} from 'node:module';
import {Agent as HttpAgent} from 'node:http';
import {Agent as HttpsAgent} from 'node:https';
import {inspect} from 'node:util';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {commonErrors} from '@hivemind/contracts';
import type {IncomingMessage} from 'node:http';
import type {Socket} from 'node:net';
import type Docker from 'dockerode';
import {runtimeErrors} from '@hivemind/runtime';
import {engineError} from './errors.ts';

export interface EngineAddress {
  /** Path of the engine's socket; default `/var/run/docker.sock`. */
  readonly socketPath?: string;
  /** `unix://path`, `tcp://host:port`; takes precedence. With DOCKER_CERT_PATH set, tcp is mutual TLS. */
  readonly host?: string;
}

/** The engine's client, and how its address reads in messages. */
export interface Engine {
  readonly docker: Docker;
  readonly address: string;
  /** A response as it arrives, for what dockerode would gather in memory first. */
  stream(call: StreamCall): Promise<IncomingMessage>;
  /** A raw connection, both ways: exec and attach. */
  hijack(path: string, body: object): Promise<Socket>;
  close(): void;
}

export interface StreamCall {
  readonly method: 'GET' | 'POST';
  /** Without the query. */
  readonly path: string;
  readonly query: object;
  readonly signal?: AbortSignal;
  /** Sent as it is, with content type application/tar. */
  readonly body?: NodeJS.ReadableStream;
  /** Sent as X-Registry-Auth. */
  readonly credentials?: object;
}

/** Enough for a burst of starts; logs, exec and events each hold one more. */
const MAX_SOCKETS = 512;

/** @throws `invalid-input` for an address that it cannot speak to. Does not connect yet. */
export async function openEngine(where: EngineAddress): Promise<Engine> {
  const target = await readAddress(where);
  const agent = hidden(target.options.protocol === 'https' ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions));
  const Client = await loadDockerode();
  const options = {...target.options, agent};
  const docker = new Client(options);
  const dial = (options: Parameters<Docker['modem']['dial']>[0]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      docker.modem.dial(options, (error, result) => (error ? reject(error) : resolve(result)));
    });
  return {
    docker,
    address: target.address,
    stream: async ({method, path, query, signal, body, credentials}) => {
      const response = await dial({
        path: `${path}?`,
        method,
        options: {_query: query, _body: {}},
        isStream: true,
        statusCodes: {200: true, 201: true},
        ...(signal ? {abortSignal: signal} : {}),
        ...(body ? {file: body} : {}),
        ...(credentials ? {authconfig: credentials} : {}),
      });
      return response as IncomingMessage;
    },
    hijack: async (path, body) => (await dial({path, method: 'POST', options: {_query: {}, _body: body}, hijack: true, isStream: true, allowEmpty: true, statusCodes: {200: true, 101: true}})) as Socket,
    close: () => agent.destroy(),
  };
}

/** An engine that took a call and has not answered by then is frozen: its slowest honest answer, a start under load, takes seconds. */
export const ANSWER_MS = 120_000;

/**
 * Runs a call and turns what the engine says into an error of the runtime port. `what` begins the sentence: "Starting web-x1".
 * Every step may be repeated, so a call that is given up on does no harm when the engine carries it out later.
 *
 * @param withinMs Past it: `runtime-unavailable`. Infinity for what ends when a container does.
 */
export async function asking<T>(engine: Pick<Engine, 'address'>, what: string, call: () => Promise<T>, withinMs = ANSWER_MS): Promise<T> {
  const waiting = new AbortController();
  try {
    if (withinMs === Infinity) return await call();
    return await Promise.race([call(), silence(engine, what, withinMs, waiting.signal)]);
  } catch (error) {
    throw engineError(error, what, engine.address);
  } finally {
    waiting.abort();
  }
}

async function silence(engine: Pick<Engine, 'address'>, what: string, withinMs: number, signal: AbortSignal): Promise<never> {
  await pause(withinMs, undefined, {signal, ref: false});
  throw runtimeErrors['runtime-unavailable'](`${what}: the container engine at ${engine.address} took the call, and has not answered for ${Math.round(withinMs / 1000)} s. It is tried again; if it stays so, look into the engine's log, or restart it.`);
}

const agentOptions = {keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 32, scheduling: 'lifo'} as const;

/** docker-modem renders its request options, the agent and all its sockets with them, for a debug line nobody reads: milliseconds a call. */
function hidden<A extends HttpAgent>(agent: A): A {
  return Object.defineProperty(agent, inspect.custom, {value: () => 'Agent'});
}

interface Target {
  readonly address: string;
  readonly options: {socketPath?: string; host?: string; port?: number; protocol?: 'http' | 'https'; ca?: Buffer; cert?: Buffer; key?: Buffer};
}

async function readAddress({socketPath = '/var/run/docker.sock', host}: EngineAddress): Promise<Target> {
  if (host === undefined || host === '') return {address: socketPath, options: {socketPath}};
  if (host.startsWith('/')) return {address: host, options: {socketPath: host}};
  const url = URL.parse(host.includes('://') ? host : `tcp://${host}`);
  if (url?.protocol === 'unix:') return {address: url.pathname, options: {socketPath: url.pathname}};
  if (!url || !['tcp:', 'http:', 'https:'].includes(url.protocol)) {
    throw commonErrors['invalid-input'](`${host} is not an engine's address: write unix:///path/to/docker.sock or tcp://host:port.`);
  }
  const certs = process.env.DOCKER_CERT_PATH;
  const secure = certs !== undefined && certs !== '';
  const port = Number(url.port) || (secure ? 2376 : 2375);
  const read = (name: string): Promise<Buffer> => readFile(join(certs ?? '', name));
  const tls = secure ? {ca: await read('ca.pem'), cert: await read('cert.pem'), key: await read('key.pem')} : {};
  return {address: `${url.hostname}:${port}`, options: {host: url.hostname, port, protocol: secure || url.protocol === 'https:' ? 'https' : 'http', ...tls}};
}

/**
 * dockerode brings gRPC for BuildKit sessions and an SSH client, neither of which the driver uses: 10 MB of memory and
 * 130 ms of start. They are put out of its reach before it loads; where that fails it loads all the same.
 */
async function loadDockerode(): Promise<typeof Docker> {
  const require = createRequire(import.meta.url);
  for (const part of ['dockerode/lib/session.js', 'dockerode/lib/buildkit.js', 'docker-modem/lib/ssh.js']) {
    let path: string;
    try {
      path = require.resolve(part);
    } catch {
      continue; // In a bundle there is nothing to keep out: the bundler leaves these out itself.
    }
    const absent = new Module(path);
    absent.exports = () => {
      throw new Error(`${part} is not loaded`);
    };
    absent.loaded = true;
    require.cache[path] ??= absent;
  }
  return (await import('dockerode')).default;
}
