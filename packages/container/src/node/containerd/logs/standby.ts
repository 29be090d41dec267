/**
 * Reads on where an agent that is gone left off: a container whose output nobody reads waits as soon as its pipe is full. For a
 * process that outlives agents. The agent's return ends it, before that one reads itself.
 */
import {basename, dirname, join} from 'node:path';
import type {Logger} from 'pino';
import {ContainerdClient} from '../api/client.ts';
import {LogPump} from './pump.ts';
import {markBeside, readerLives} from './reader-mark.ts';

/**
 * It is looked so often (ms) whether the agent is gone: a container that says much waits from then on, and not for a second. That
 * holds for one that has only just started, too: until one is known, containerd is asked as often.
 */
const LOOK_EVERY_MS = 200;
const ANSWER_MS = 5_000;

/** Whose containers, in which containerd. */
export interface Watched {
  readonly cluster: string;
  readonly socketPath: string;
}

export interface LogStandbyOptions {
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
}

export class LogStandby {
  readonly #options: LogStandbyOptions;
  #watched: Watched | undefined;
  #pump: LogPump | undefined;
  #client: ContainerdClient | undefined;
  /** Where the agent says that it reads, once known, and of which cluster. */
  #mark: {readonly cluster: string; readonly path: string} | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Of the agent's words: what was begun before the newest is over. */
  #word = 0;
  #failing = false;
  /** Of the next look; undefined: none is to come. */
  #cancel: (() => void) | undefined;

  constructor(options: LogStandbyOptions) {
    this.#options = options;
  }

  /** The agent lives. Resolves when nothing is read here any more. @param watched undefined: its containers are elsewhere */
  async heard(watched: Watched | undefined): Promise<void> {
    this.#word += 1;
    this.#watched = watched;
    if (this.#mark?.cluster !== watched?.cluster) this.#mark = undefined;
    if (watched) this.#cancel ??= this.#nextLook();
    else this.#cancel = void this.#cancel?.();
    // At rest this is all there is to do.
    if (this.#pump) await this.#release();
  }

  async stop(): Promise<void> {
    await this.heard(undefined);
    this.#client?.close();
  }

  #nextLook(): () => void {
    const cancel = this.#options.setTimer(() => {
      this.#looking = this.#look(this.#word).catch((err: unknown) => {
        if (!this.#failing) this.#options.logger.warn({err}, 'it cannot be seen whether the output of containers is read; it is tried again and again');
        this.#failing = true;
      }).finally(() => {
        if (this.#cancel === cancel) this.#cancel = this.#watched && this.#nextLook();
      });
    }, LOOK_EVERY_MS);
    return cancel;
  }

  async #look(word: number): Promise<void> {
    const {cluster, socketPath} = this.#watched ?? {cluster: '', socketPath: ''};
    if (this.#client?.socketPath !== socketPath) {
      this.#client?.close();
      this.#client = new ContainerdClient(socketPath, 'hivemind');
    }
    // Found once, they are known: without an agent nothing is started.
    if (this.#pump) return;
    if (this.#mark && (await readerLives(this.#mark.path))) return;
    const pipes = await outputs(this.#client, cluster);
    const [first] = pipes;
    if (first === undefined) return;
    const path = markBeside(first.stdout, cluster);
    this.#mark = {cluster, path};
    if (await readerLives(path)) return;
    // It spoke meanwhile.
    if (word !== this.#word) return;
    const pump = (this.#pump = new LogPump());
    for (const {id, ...paths} of pipes) {
      if (word !== this.#word) break;
      await pump.open(id, paths).catch((err: unknown) => this.#options.logger.warn({err, container: id}, 'the output of a container cannot be read'));
    }
    this.#failing = false;
    this.#options.logger.info({containers: pipes.length}, 'the agent is gone: the output of its containers is read here until it is back');
  }

  async #release(): Promise<void> {
    await this.#looking;
    const pump = this.#pump;
    this.#pump = undefined;
    await pump?.release();
  }
}

interface Output {
  readonly id: string;
  readonly log: string;
  readonly stdout: string;
  readonly stderr?: string;
}

/** Of containers that run. */
async function outputs(client: ContainerdClient, cluster: string): Promise<readonly Output[]> {
  const ids = new Set<string>();
  const enough = AbortSignal.timeout(ANSWER_MS);
  for await (const {container} of client.stream('listContainers', {filters: [`labels."hivemind.cluster"==${JSON.stringify(cluster)}`]}, enough)) if (container) ids.add(container.id);
  enough.throwIfAborted();
  const {tasks} = await client.call('listTasks', {}, {deadlineMs: ANSWER_MS});
  return tasks.flatMap((task) => {
    const {stdout, stderr, status} = task;
    const id = task.containerId === '' ? task.id : task.containerId;
    if (!ids.has(id) || stdout === '' || status === 'STOPPED') return [];
    // As `Place` has them: pipes/ID/main/stdout beside logs/ID.
    const container = dirname(dirname(stdout));
    return [{id, log: join(dirname(dirname(container)), 'logs', basename(container)), stdout, ...(stderr === '' ? {} : {stderr})}];
  });
}
