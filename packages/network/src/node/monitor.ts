/** Hears of changes to the machine's interfaces, addresses and routes: what was removed by hand is put back at once. */
import {type ChildProcess, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {read} from '../core/news.ts';
import {searchPath} from './command.ts';

const RESTART_MS = 1_000;

export interface MonitorOptions {
  readonly onChange: () => void;
  /** An interface is on the bridge; told again and again. */
  readonly onMember: (name: string) => void;
}

/** `setpriv` ends it with the agent, however that ends. @returns how to stop */
export function monitor({onChange, onMember}: MonitorOptions): () => void {
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const start = (): void => {
    const running = spawn('setpriv', ['--pdeathsig', 'KILL', 'ip', '-oneline', 'monitor', 'link', 'address', 'route'], {stdio: ['ignore', 'pipe', 'ignore'], env: {...process.env, PATH: searchPath()}});
    child = running;
    createInterface({input: running.stdout}).on('line', (line) => {
      const {isOfConcern, member} = read(line);
      if (member !== undefined) onMember(member);
      if (isOfConcern) onChange();
    });
    running.on('error', () => undefined);
    // The periodic look goes on without it.
    running.once('close', () => {
      if (!stopped) timer = setTimeout(start, RESTART_MS).unref();
    });
    running.unref();
  };
  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    child?.kill('SIGKILL');
  };
}
