import {spawnSync} from 'node:child_process';

/** Runs a command to its end; throws what it wrote when it fails. */
export function command(name: string, args: string[], input = ''): void {
  const {status, signal, stderr, error} = spawnSync(name, args, {input, encoding: 'utf8'});
  // What it says of itself before what befell the pipe to it.
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr || (error?.message ?? `ended by ${signal}`)}\n${input}`);
}

/** Runs lines of `ip` in one process, in a network namespace where one is named. */
export function ip(lines: string[], namespace?: string): void {
  command('ip', [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-'], `${lines.join('\n')}\n`);
}

/** Removes a named network namespace and a link, if they are there. */
export function dropNamespace(name: string): void {
  spawnSync('ip', ['netns', 'delete', name]);
}

export function dropLink(name: string, namespace?: string): void {
  spawnSync('ip', [...(namespace === undefined ? [] : ['-n', namespace]), 'link', 'delete', name]);
}
