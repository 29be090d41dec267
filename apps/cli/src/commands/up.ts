/** `hivemind up`: Hivemind on this machine, in the foreground. */
import {mkdir} from 'node:fs/promises';
import {isIP} from 'node:net';
import {join} from 'node:path';
import type {Command} from 'commander';
import * as z from 'zod';
import {openLog, signalled} from '../foreground.ts';
import type {Terminal} from '../terminal.ts';
import {cliErrors} from '../errors.ts';
import {DEFAULT_SERVER} from '../session.ts';
import {dnsListen} from './dns-listen.ts';
import {engineFlags, engineOf, engineOptions} from './engine-flags.ts';
import {type Host, leaf, noArgs, wholeNumber} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'up',
    summary: 'Start Hivemind on this machine, until Ctrl-C; containers run on',
    example: ['up', 'up --data-dir /var/lib/hivemind --listen 127.0.0.1:4490', 'up --advertise 10.0.0.5', 'up --bus nats://10.0.0.5:4222 --store redis://10.0.0.5:6379'],
    flags: [
      ['--listen <host:port>', 'where the API listens (default: that of HIVEMIND_SERVER, else 127.0.0.1:4483)'],
      ...engineFlags,
      ['--no-agent', 'run no containers on this machine'],
      ['--advertise <ip>', 'take further machines: the address of this one, where a nats-server is started for them'],
      ['--bus-port <port>', 'of that nats-server (default: 4222)'],
      ['--gossip-port <port>', 'with --advertise: where this machine\'s sidecar speaks with others (default: 7946)'],
      ['--dns-listen <ip[:port],...>', 'with --advertise: where this machine\'s sidecar answers names of services (default: nowhere; port 53)'],
      ['--network <backend>', 'of a cluster that is new: auto, vxlan, direct, or none for networks of the engine\'s own (default: HIVEMIND_NETWORK_BACKEND, else auto where this machine can)'],
      ['--bus <url>', 'NATS that runs already, as in nats://10.0.0.5:4222; with --store'],
      ['--store <url>', 'Redis, as in redis://10.0.0.5:6379; with --bus'],
      ['--allow-weak-persistence', 'take a Redis that may lose what it acknowledged'],
      ['--tls <mode>', 'auto or off: off serves others in the clear, on closed test networks (default: auto)'],
    ],
    args: noArgs,
    options: z.object({
      listen: z.string().optional(),
      ...engineOptions,
      agent: z.boolean().default(true),
      tls: z.enum(['auto', 'off'], 'is neither auto nor off').default('auto'),
      advertise: z.string().refine((text) => isIP(text) !== 0, 'is not an IP address').optional(),
      busPort: wholeNumber.optional(),
      gossipPort: wholeNumber.refine((port) => port > 0 && port < 65_536, 'is not a port').optional(),
      dnsListen: dnsListen.optional(),
      network: z.enum(['auto', 'vxlan', 'direct', 'none'], 'is none of auto, vxlan, direct and none').optional(),
      bus: z.string().optional(),
      store: z.string().optional(),
      allowWeakPersistence: z.boolean().optional(),
    }),
    async run({terminal, dataDir, givenServer = DEFAULT_SERVER}, _args, options) {
      if ((options.bus === undefined) !== (options.store === undefined)) throw cliErrors['wrong-usage']('--bus and --store go together: both are shared with other processes, or neither is');
      if (options.bus !== undefined && options.busPort !== undefined) throw cliErrors['wrong-usage']('--bus-port is for a nats-server that is started here, and --bus names one that runs');
      if (options.dnsListen !== undefined && (options.advertise === undefined || !options.agent)) throw cliErrors['wrong-usage']('--dns-listen needs a sidecar, which a machine has with --advertise and its own agent');
      await mkdir(dataDir, {recursive: true, mode: 0o700});
      const logFile = terminal.err.isTTY === true ? join(dataDir, 'hivemind.log') : undefined;
      const [{startStandalone}, {logger, flush}] = await Promise.all([import('@hivemind/standalone'), openLog(logFile)]);
      const asked = signalled();
      try {
        const standalone = await startStandalone({
          dataDir, logger,
          listen: options.listen ?? listenOf(givenServer, options.advertise !== undefined),
          ...await engineOf(options, terminal.env),
          noAgent: !options.agent,
          tls: options.tls,
          advertise: options.advertise,
          busPort: options.busPort,
          gossipPort: options.gossipPort,
          dnsListen: options.dnsListen,
          network: options.network,
          ...(options.bus === undefined || options.store === undefined ? {} : {shared: {bus: options.bus, store: options.store, allowWeakPersistence: options.allowWeakPersistence === true}}),
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

/** The address of the server that the other commands will look for; where other machines are to come, every address. */
function listenOf(server: string, forOthers: boolean): string {
  const {hostname, port, protocol} = new URL(server);
  return `${forOthers ? '0.0.0.0' : hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
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
