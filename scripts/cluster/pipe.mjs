import {spawn} from 'node:child_process';
import {SetupError} from '../setup/enter.mjs';

/** Runs two commands, what the first writes into the second; `what` says in a failure which was at stake. */
export async function pipe([from, ...fromArgs], [to, ...toArgs], what) {
  const source = spawn(from, fromArgs, {stdio: ['ignore', 'pipe', 'inherit']});
  const target = spawn(to, toArgs, {stdio: ['pipe', 'ignore', 'inherit']});
  // One that ends early is told of by its exit status.
  target.stdin.on('error', () => undefined);
  source.stdout.pipe(target.stdin);
  const codes = await Promise.all([source, target].map((child) => new Promise((resolve) => {
    child.once('error', () => resolve(127)).once('close', resolve);
  })));
  if (codes.some((code) => code !== 0)) throw new SetupError(`${what}: see above.`);
}
