/** Hears of changes to the machine's interfaces, addresses and routes: what was removed by hand is put back at once. */
import {type ChildProcess, spawn} from 'node:child_process';

const RESTART_MS = 1_000;

/** `setpriv` ends it with the agent, however that ends. @returns how to stop */
export function monitor(onChange: () => void): () => void {
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const start = (): void => {
    child = spawn('setpriv', ['--pdeathsig', 'KILL', 'ip', 'monitor', 'link', 'address', 'route'], {stdio: ['ignore', 'pipe', 'ignore'], env: {...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`}});
    child.stdout?.on('data', onChange);
    child.on('error', () => undefined);
    // The periodic look goes on without it.
    child.once('close', () => {
      if (!stopped) timer = setTimeout(start, RESTART_MS).unref();
    });
    child.unref();
  };
  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    child?.kill('SIGKILL');
  };
}
