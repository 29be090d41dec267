import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {freePort} from './port.ts';
import {removeTempDir, tempDir} from './temp.ts';
import {waitFor} from './wait.ts';

/** A real server, started for a test. */
export interface TestServer extends AsyncDisposable {
  /** TCP port on 127.0.0.1; it stays the same over restarts. */
  readonly port: number;
  /** Process id of the current incarnation. */
  readonly pid: number;
  /** The server's own directory: data, configuration, log. */
  readonly dir: string;
  /** Stops it gracefully (SIGTERM, then SIGKILL after 10 s) and removes its directory. Idempotent. */
  stop(): Promise<void>;
  /** SIGKILL; its data stays, `start` brings it back. */
  kill(): Promise<void>;
  /** SIGTERM and wait; its data stays, `start` brings it back. */
  terminate(): Promise<void>;
  /** Starts it again on the same port and data, and waits until it answers. */
  start(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open and nothing answers. */
  pause(): void;
  /** Lets a frozen server go on (SIGCONT). */
  resume(): void;
  /** What it wrote to its log so far. */
  log(): string;
}

export interface ServerDefinition {
  name: string;
  /** Debian package that brings the binary, for the message when it is missing. */
  debianPackage: string;
  command: string;
  args: (place: {port: number; dir: string}) => string[];
  /** True (or no throw) once it serves. */
  ready: (place: {port: number; dir: string}) => Promise<unknown>;
  env?: Record<string, string>;
  /** Signal it gets when this process dies without stopping it; default SIGKILL. */
  deathSignal?: 'KILL' | 'TERM';
  deadlineMs?: number;
  /** Run before it is asked to end for good; failures are ignored, as it may be dead already. */
  beforeStop?: (dir: string) => Promise<void>;
  /** Extra clean-up before its directory is removed. */
  cleanUp?: (dir: string) => Promise<void> | void;
}

/**
 * Starts a server and waits until it is ready. The kernel ends it when this process dies, however that
 * happens (`setpriv --pdeathsig`), so that no test run leaves servers behind.
 */
export async function startServer(definition: ServerDefinition): Promise<TestServer> {
  const place = {port: await freePort(), dir: tempDir(definition.name)};
  const logFile = join(place.dir, 'server.log');
  let child: ChildProcess | undefined;
  let stopped: Promise<void> | undefined;

  const log = () => readFileSync(logFile, 'utf8');
  const start = async () => {
    child = await launch(definition, place, logFile);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child) await endProcess(child, signal);
  };
  const stop = () =>
    (stopped ??= (async () => {
      if (child && !isOver(child)) await definition.beforeStop?.(place.dir).catch(() => undefined);
      await end('SIGTERM');
      await definition.cleanUp?.(place.dir);
      await removeTempDir(place.dir);
    })());

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port: place.port,
    dir: place.dir,
    get pid() {
      return child?.pid ?? 0;
    },
    start,
    stop,
    kill: () => end('SIGKILL'),
    terminate: () => end('SIGTERM'),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    log,
    [Symbol.asyncDispose]: stop,
  };
}

async function launch(definition: ServerDefinition, place: {port: number; dir: string}, logFile: string): Promise<ChildProcess> {
  const {name, command, debianPackage, deathSignal = 'KILL', deadlineMs = 20_000} = definition;
  const output = openSync(logFile, 'a');
  const child = spawn('setpriv', ['--pdeathsig', deathSignal, '--', command, ...definition.args(place)], {
    cwd: place.dir,
    env: {...process.env, ...definition.env},
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  try {
    await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error as Error))]);
    await waitFor(
      async () => {
        if (isOver(child)) return 'over';
        return (await definition.ready(place)) ?? true;
      },
      {what: `${name} to serve on port ${place.port}`, deadlineMs},
    );
    if (isOver(child)) throw new Error(`${name} ended at once (exit ${child.exitCode ?? child.signalCode})`);
    return child;
  } catch (error) {
    await endProcess(child, 'SIGKILL');
    const tail = readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
    throw new Error(`cannot start ${name} (${command}, Debian package ${debianPackage}): ${(error as Error).message}\n${tail}`, {cause: error});
  }
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (isOver(child) || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.ref();
  child.kill(signal);
  child.kill('SIGCONT');
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(force);
}

function isOver(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
