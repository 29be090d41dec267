import {type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import Docker from 'dockerode';
import {waitFor} from '../wait.ts';
import {containersOf} from './cgroup.ts';
import {type RunOptions} from './machine.ts';

export interface EngineOptions {
  /** Containers run on while the engine is away, as with `--live-restore`; default false. */
  liveRestore?: boolean;
  /** Further words for dockerd's command line. */
  args?: string[];
}

const ATTEMPTS = 3;

/** Where an engine runs. */
export interface EngineSite {
  dir: string;
  /** The machine's `/run`, as seen from outside. */
  runDir: string;
  group: string;
  run(command: string, args: string[], options: RunOptions): ChildProcess;
}

/** A machine's Docker Engine, at `/run/docker.sock` there. Its data outlives it, as a disk would. */
export class MachineEngine {
  /** A client in this process. */
  readonly docker: Docker;
  /** `unix://...`, from in- and outside the machine. */
  readonly url: string;
  readonly #site: EngineSite;
  readonly #options: EngineOptions;
  #daemon: ChildProcess | undefined;

  constructor(site: EngineSite, options: EngineOptions) {
    this.#site = site;
    this.#options = options;
    const socketPath = join(site.runDir, 'docker.sock');
    this.docker = new Docker({socketPath});
    this.url = `unix://${socketPath}`;
  }

  /** Whether it was started and has not ended. */
  get isRunning(): boolean {
    return this.#daemon !== undefined && this.#daemon.exitCode === null && this.#daemon.signalCode === null;
  }

  /** Starts it and waits until it answers. On a busy computer it gives up its containerd too soon; an init would try again, too. */
  async start(): Promise<void> {
    for (let attempt = 1; !this.isRunning; attempt++) {
      try {
        return await this.#launch();
      } catch (error) {
        if (attempt === ATTEMPTS || !String(error).includes('timeout waiting for containerd')) throw error;
        this.killContainerd();
      }
    }
  }

  /** SIGKILL to the containerd that it started, and that a killed one leaves behind. Shims and containers run on. */
  killContainerd(): void {
    try {
      const pid = Number(readFileSync(join(this.#site.runDir, 'docker/containerd/containerd.pid'), 'utf8'));
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  async #launch(): Promise<void> {
    const {dir, group} = this.#site;
    const logFile = join(dir, 'dockerd.log');
    const log = openSync(logFile, 'a');
    // The machine's /run is its own: there the engine finds no other's containerd, and starts one.
    const args = [
      ...['--data-root', join(dir, 'docker'), '--shutdown-timeout', '2'],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', containersOf(group)],
      ...(this.#options.liveRestore ? ['--live-restore'] : []),
      ...(this.#options.args ?? []),
    ];
    const daemon = this.#site.run('dockerd', args, {stdio: ['ignore', log, log], deathSignal: 'TERM'});
    closeSync(log);
    daemon.unref();
    this.#daemon = daemon;
    try {
      await waitFor(() => !this.isRunning || this.docker.ping(), {what: 'dockerd to answer', deadlineMs: 60_000});
      if (!this.isRunning) throw new Error(`dockerd ended at once (exit ${daemon.exitCode ?? daemon.signalCode})`);
    } catch (error) {
      const tail = readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
      throw new Error(`cannot start dockerd (Debian package docker.io): ${(error as Error).message}\n${tail}`, {cause: error});
    }
  }

  /** SIGTERM; it stops its containers, unless they live on. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** SIGKILL: its containers run on, and are stopped when it starts again, unless they live on. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Resolves when it has ended, whatever ended it: its death is heard of a moment after it died. */
  async ended(): Promise<void> {
    if (!this.#daemon || !this.isRunning) return;
    this.#daemon.ref();
    await once(this.#daemon, 'exit');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#daemon?.kill(signal);
    await this.ended();
  }
}
