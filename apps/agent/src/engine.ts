/**
 * Which engine this machine's containers are in. What was used before is used again, whatever answers first today: the other one
 * knows nothing of what runs. Only a machine that is new looks around.
 */
import {existsSync} from 'node:fs';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {request} from 'node:http';
import {connect} from 'node:net';
import {join} from 'node:path';
import {CONTAINERD_SOCKET, type ContainerdRuntimeOptions, type RegistrySettings, createContainerdRuntime, createDockerRuntime, earlierClustersOfContainerd, earlierClustersOfDocker} from '@hivemind/container/node';
import {commonErrors} from '@hivemind/contracts';
import {type Runtime, runtimeErrors} from '@hivemind/runtime';
import type {Logger} from 'pino';

export type EngineName = 'docker' | 'containerd';

export interface EngineOptions {
  /** `auto`, the default: as before, else Docker where it answers, else containerd where that does. */
  readonly runtime?: 'auto' | EngineName;
  /** As DOCKER_HOST; the engine's default when absent. */
  readonly dockerHost?: string | undefined;
  /** Path of containerd's; Debian's when absent. */
  readonly containerdSocket?: string | undefined;
  /** What the driver for containerd takes beside. */
  readonly containerd?: Pick<ContainerdRuntimeOptions, 'root' | 'cgroupParent'>;
  /** How registries are reached, by the driver for containerd: a Docker Engine has settings of its own. */
  readonly registries?: RegistrySettings | undefined;
}

export interface Engine {
  readonly name: EngineName;
  /** As the sidecar's fence takes it. */
  readonly address: string;
}

const DOCKER_SOCKET = '/var/run/docker.sock';
const ANSWER_MS = 2_000;

/** Whose containers. */
export interface Whose {
  readonly cluster: string;
  readonly node: string;
  readonly logger: Logger;
  now(): number;
}

/**
 * Which it is, remembered in `agent/runtime` of the data dir.
 * @param before what `engineBefore` said
 * @throws `runtime-conflict` where another one is asked for, and the one before still has containers of the cluster, or does not say
 */
export async function chooseEngine(options: EngineOptions, dataDir: string, before: EngineName | undefined, whose: Whose): Promise<Engine> {
  const {runtime = 'auto'} = options;
  const found = runtime === 'auto' ? (before ?? (await whichAnswers(options))) : runtime;
  const name = found ?? 'docker';
  if (before !== undefined && before !== name) await refuseIfUsed(before, options, name, whose);
  if (found !== undefined) {
    await mkdir(join(dataDir, 'agent'), {recursive: true, mode: 0o700});
    await writeFile(join(dataDir, 'agent', 'runtime'), `${found}\n`, {mode: 0o600});
  }
  return {name, address: addressOf(name, options)};
}

/** Does not connect yet. @throws `invalid-input` where it is told of registries, and would not heed that */
export async function openRuntime(name: EngineName, {dockerHost, containerdSocket, containerd, registries}: EngineOptions, whose: Whose): Promise<Runtime> {
  if (name === 'docker' && registries !== undefined) throw commonErrors['invalid-input']('--registries is for machines on containerd, and this one uses Docker: leave it out, and tell the Docker Engine (/etc/docker/daemon.json), or start with --runtime containerd.');
  if (name === 'docker') return createDockerRuntime({...whose, ...(dockerHost === undefined ? {} : {host: dockerHost})});
  return createContainerdRuntime({...containerd, ...whose, ...(registries === undefined ? {} : {registries}), ...(containerdSocket === undefined ? {} : {socketPath: containerdSocket})});
}

/** Engines that may have containers of a data dir: the one that it used, else those that answer. */
export async function likelyEngines(options: EngineOptions, dataDir: string): Promise<readonly EngineName[]> {
  const {runtime = 'auto'} = options;
  const known = runtime === 'auto' ? await engineBefore(dataDir) : runtime;
  if (known !== undefined) return [known];
  const [docker, containerd] = await Promise.all([dockerAnswers(options), containerdAnswers(options)]);
  // Where none does, Docker says so.
  return [...(docker || !containerd ? ['docker' as const] : []), ...(containerd ? ['containerd' as const] : [])];
}

/** Ids of clusters whose containers were made for this data dir, by the engines that may have some. @throws `runtime-unavailable` */
export async function earlierLives(options: EngineOptions, dataDir: string): Promise<readonly string[]> {
  const {dockerHost, containerdSocket = CONTAINERD_SOCKET} = options;
  const lives = [];
  for (const name of await likelyEngines(options, dataDir)) lives.push(...(name === 'docker' ? await earlierClustersOfDocker(dockerHost === undefined ? {} : {host: dockerHost}, dataDir) : await earlierClustersOfContainerd(containerdSocket, dataDir)));
  return [...new Set(lives)];
}

/** undefined: this machine has none yet. To be asked before anything is written there. */
export async function engineBefore(dataDir: string): Promise<EngineName | undefined> {
  const text = (await readFile(join(dataDir, 'agent', 'runtime'), 'utf8').catch(() => '')).trim();
  if (text === 'docker' || text === 'containerd') return text;
  // Of a release that knew Docker alone.
  return existsSync(join(dataDir, 'agent', 'cluster')) && existsSync(DOCKER_SOCKET) ? 'docker' : undefined;
}

async function whichAnswers(options: EngineOptions): Promise<EngineName | undefined> {
  if (await dockerAnswers(options)) return 'docker';
  return (await containerdAnswers(options)) ? 'containerd' : undefined;
}

async function refuseIfUsed(before: EngineName, options: EngineOptions, asked: EngineName, whose: Whose): Promise<void> {
  const {registries: _heededByTheOther, ...where} = options;
  const runtime = await openRuntime(before, where, whose);
  try {
    const left = await runtime.list().catch((cause: unknown) => {
      throw runtimeErrors['runtime-conflict'](`This machine's containers were in ${before}, which does not say whether some are left: ${cause instanceof Error ? cause.message : String(cause)} Start it, or start the agent with --runtime ${before}.`, {cause});
    });
    if (left.length > 0) throw runtimeErrors['runtime-conflict'](`${left.length} of this machine's containers are in ${before}, and ${asked} does not know of them. Start the agent with --runtime ${before}, drain the machine, then change.`);
  } finally {
    await runtime.close();
  }
}

/** Where the containers of this machine would be, as far as is known before an agent has chosen. */
export async function likelyEngine(options: EngineOptions, dataDir: string): Promise<Engine> {
  const [name = 'docker'] = await likelyEngines(options, dataDir);
  return {name, address: addressOf(name, options)};
}

function addressOf(name: EngineName, {dockerHost = DOCKER_SOCKET, containerdSocket = CONTAINERD_SOCKET}: EngineOptions): string {
  return name === 'docker' ? dockerHost : `containerd://${containerdSocket}`;
}

/** One that is named is meant, also while it is away. */
function dockerAnswers({dockerHost}: EngineOptions): Promise<boolean> {
  if (dockerHost !== undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    const asked = request({socketPath: DOCKER_SOCKET, path: '/_ping', agent: false, signal: AbortSignal.timeout(ANSWER_MS)}, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

function containerdAnswers({containerdSocket = CONTAINERD_SOCKET}: EngineOptions): Promise<boolean> {
  if (!existsSync(containerdSocket)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({path: containerdSocket, timeout: ANSWER_MS}, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('timeout', () => socket.destroy());
    socket.once('error', () => undefined).once('close', () => resolve(false));
  });
}
