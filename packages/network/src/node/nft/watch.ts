/** Hears when somebody else changes one of our tables, so that it is put right at once. */
import {type ChildProcess, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {type Nft, programs} from './command.ts';

const RESTART_MS = 1_000;

export interface TableWatch {
  readonly table: string;
  readonly nft: Pick<Nft, 'isOwn'>;
  readonly onChange: () => void;
  readonly within?: readonly string[];
}

/**
 * A transaction is told as its lines and then the process that made it. `setpriv` ends the listener with the agent, however
 * that ends. @returns how to stop
 */
export function watchTable({table, nft, onChange, within = []}: TableWatch): () => void {
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const start = (): void => {
    const [program = 'setpriv', ...words] = [...within, 'setpriv', '--pdeathsig', 'KILL', 'nft', 'monitor'];
    child = spawn(program, words, {stdio: ['ignore', 'pipe', 'ignore'], env: programs});
    let isTouched = false;
    const ours = new RegExp(`^(add|insert|replace|delete|destroy) \\w+ ip ${table}( |$)`);
    if (child.stdout) {
      createInterface({input: child.stdout}).on('line', (line) => {
        const [, pid] = /^# new generation \d+ by process (\d+)/.exec(line) ?? [];
        if (pid === undefined) {
          isTouched ||= ours.test(line);
          return;
        }
        if (isTouched && !nft.isOwn(Number(pid))) onChange();
        isTouched = false;
      });
    }
    // Without it the periodic look finds what there is to find.
    child.once('error', () => undefined);
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
