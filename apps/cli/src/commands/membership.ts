/** `hivemind membership`: the sidecar of this machine in the foreground, and tools that ask one through its socket. */
import {existsSync} from 'node:fs';
import {getCompileCacheDir} from 'node:module';
import {dirname, join} from 'node:path';
import type {Command} from 'commander';
import {type FlagValues, readFlags, type SidecarFlag, sidecarFlags} from '@hivemind/sidecar/flags';
import {z} from 'zod';
import type {Terminal} from '../terminal.ts';
import {type Host, leaf, noArgs} from './define.ts';
import {registerTools} from './membership/tools.ts';

const flags: readonly SidecarFlag[] = sidecarFlags;

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'membership',
    summary: 'Be this machine\'s sidecar, a member of the ring, until Ctrl-C; or ask one with the commands below',
    example: ['membership --name n1 --bind 10.0.0.1:7946 --join 10.0.0.2:7946 --key-file ring.key', 'membership ls'],
    flags: flags.map(({name, value, about, repeat}) => (repeat ? [`--${name} <${value}>`, about, 'repeat'] as const : [`--${name} <${value}>`, about] as const)),
    args: noArgs,
    // Read by the sidecar itself, which is started without this command too.
    options: z.record(z.string(), z.union([z.string(), z.array(z.string())]).optional()),
    async run({terminal, dataDir}, _args, options) {
      const values: FlagValues = Object.fromEntries(flags.map(({name}) => [name, options[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]]));
      readFlags(values, {dataDir, cwd: terminal.cwd});
      becomeLean(values, dataDir, terminal);
      const {runSidecar} = await import('@hivemind/sidecar');
      await runSidecar({values, dataDir, cwd: terminal.cwd, level: terminal.env.HIVEMIND_LOG_LEVEL, print: (text) => void terminal.out.write(text)});
    },
  });
  const membership = parent.commands.find((command) => command.name() === 'membership');
  if (membership) registerTools(membership, host);
}

/**
 * The sidecar is a program of its own, beside this one in a release and in a checkout. This process becomes it, under the same
 * pid: it lives as long as the machine, and has no use for the rest of the command. What was compiled is kept for the next
 * start, also for its threads, which in a checkout spares it the compiler; two heaps of malloc are enough for what little it does.
 */
function becomeLean(values: FlagValues, dataDir: string, {env}: Terminal): void {
  const own = dirname(process.argv[1] ?? '');
  const program = [join(own, 'sidecar.js'), join(dirname(own), 'sidecar.js'), join(own, '../../sidecar/src/main.ts')].find(existsSync);
  if (program === undefined || process.execve === undefined) return;
  const words = Object.entries(values).flatMap(([name, value]) => [value ?? []].flat().map((one) => `--${name}=${String(one)}`));
  const known = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const lean = {NODE_COMPILE_CACHE: getCompileCacheDir() ?? join(dataDir, 'compiled'), MALLOC_ARENA_MAX: '2'};
  process.execve(process.execPath, [process.execPath, '--disable-warning=ExperimentalWarning', program, ...words, `--data-dir=${dataDir}`], {...lean, ...known});
}
