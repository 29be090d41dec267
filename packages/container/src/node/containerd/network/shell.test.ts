import {piped} from './command.ts';
import {Shell} from './shell.ts';

it('runs one after another, says what failed, and goes on', async () => {
  const shell = new Shell();
  const wrong = shell.run(piped('cat >/dev/null', 'fine'), piped('sh', 'echo no such thing >&2; exit 3'), piped('sh', 'echo not run'));
  const right = shell.run(piped('grep -q "^it\'s \\$HOME$"', 'it\'s $HOME'));
  await expect(wrong).rejects.toThrow(/^no such thing$/);
  await right;
  await expect(shell.run('no-such-program\n')).rejects.toMatchObject({code: 'start-failed', message: expect.stringContaining('install no-such-program')});
  // One that ends the shell takes only itself.
  await expect(shell.run('exit 7\n')).rejects.toThrow();
  await shell.run('true\n');
  shell.close();
});
