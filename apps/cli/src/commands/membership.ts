/** `hivemind membership`: the sidecar of this machine in the foreground, and tools that ask one through its socket. */
import type {Command} from 'commander';
import {type FlagValues, readFlags, type SidecarFlag, sidecarFlags} from '@hivemind/sidecar/flags';
import {readKeyFile} from '@hivemind/sidecar/key-file';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
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
      const {keyFile} = readFlags(values, {dataDir, cwd: terminal.cwd});
      // Wrong usage is said before another program is started with it.
      if (keyFile !== undefined) await readKeyFile(keyFile).catch((error: Error) => Promise.reject(cliErrors['wrong-usage'](`--key-file: ${error.message}`)));
      await becomeSidecar(values, dataDir, terminal);
    },
  });
  const membership = parent.commands.find((command) => command.name() === 'membership');
  if (membership) registerTools(membership, host);
}

/**
 * The sidecar is a program of its own. This process becomes it, under the same pid: it lives as long as the machine, and has no
 * use for the rest of the command.
 */
async function becomeSidecar(values: FlagValues, dataDir: string, {env, become}: Terminal): Promise<void> {
  const {leanEnvironment, sidecarNodeFlags, sidecarProgram} = await import('@hivemind/sidecar/program');
  const words = Object.entries(values).flatMap(([name, value]) => [value ?? []].flat().map((one) => `--${name}=${String(one)}`));
  const program = sidecarProgram(process.argv[1] ?? '');
  become?.(process.execPath, [process.execPath, ...sidecarNodeFlags, program, ...words, `--data-dir=${dataDir}`], leanEnvironment(env, dataDir, program));
  throw cliErrors.failed('one program cannot become another here: start sidecar.js with these flags');
}
