/** `hivemind up`: Hivemind on this machine, in the foreground. */
import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import type {Command} from 'commander';
import {z} from 'zod';
import {openLog, signalled} from '../foreground.ts';
import type {Terminal} from '../terminal.ts';
import {type Host, leaf, noArgs} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'up',
    summary: 'Start Hivemind on this machine, until Ctrl-C; containers run on',
    example: ['up', 'up --data-dir /var/lib/hivemind --listen 127.0.0.1:4490'],
    flags: [
      ['--listen <host:port>', 'where the API listens (default: that of HIVEMIND_SERVER, else 127.0.0.1:4483)'],
      ['--runtime <name>', 'auto or docker (default: auto)'],
      ['--docker-host <url>', 'the engine, as in unix:///var/run/docker.sock (default: DOCKER_HOST, else that)'],
      ['--no-agent', 'run no containers on this machine'],
      ['--tls <mode>', 'auto or off: off allows to listen off loopback in the clear, on closed test networks (default: auto)'],
    ],
    args: noArgs,
    options: z.object({
      listen: z.string().optional(),
      runtime: z.enum(['auto', 'docker'], 'is not a runtime of this release; use auto or docker').default('auto'),
      dockerHost: z.string().optional(),
      agent: z.boolean().default(true),
      tls: z.enum(['auto', 'off'], 'is neither auto nor off').default('auto'),
    }),
    async run({terminal, dataDir, api}, _args, options) {
      await mkdir(dataDir, {recursive: true, mode: 0o700});
      const logFile = terminal.err.isTTY === true ? join(dataDir, 'hivemind.log') : undefined;
      const [{startStandalone}, {logger, flush}] = await Promise.all([import('@hivemind/standalone'), openLog(logFile)]);
      const asked = signalled();
      try {
        const standalone = await startStandalone({
          dataDir, logger,
          listen: options.listen ?? listenOf(api.server),
          runtime: options.runtime,
          dockerHost: options.dockerHost ?? (terminal.env.DOCKER_HOST || undefined),
          noAgent: !options.agent,
          tls: options.tls,
        });
        greet(terminal, standalone.url, dataDir, logFile);
        await asked;
        if (logFile !== undefined) terminal.out.write('\nStopping; containers run on.\n');
        await standalone.stop();
      } finally {
        flush();
      }
    },
  });
}

/** The address of the server that the other commands will look for. */
function listenOf(server: string): string {
  const {hostname, port, protocol} = new URL(server);
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

function greet({out}: Terminal, url: string, dataDir: string, logFile: string | undefined): void {
  if (logFile === undefined) {
    out.write(`Hivemind listens at ${url}\n`);
    return;
  }
  out.write([
    `Hivemind listens at ${url} (docs at ${url}/docs).`,
    `Token: ${join(dataDir, 'admin.token')}    Log: ${logFile}`,
    'In another terminal: hivemind apply -f docker-compose.yml --wait',
    'Ctrl-C stops Hivemind; containers run on.\n',
  ].join('\n'));
}
