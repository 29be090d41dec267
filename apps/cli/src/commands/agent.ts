/** `hivemind agent`: this machine as a node of a cluster, in the foreground. */
import {isIP} from 'node:net';
import {DnsLabel, isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {NODE_REMOVED} from '../errors.ts';
import {openLog, signalled} from '../foreground.ts';
import {printError} from '../output/error-text.ts';
import {dnsListen} from './dns-listen.ts';
import {engineFlags, engineOf, engineOptions} from './engine-flags.ts';
import {type Host, leaf, noArgs, wholeNumber} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'agent',
    summary: 'Make this machine a node, until SIGTERM; containers run on. It joins once: later starts need neither URL nor token',
    example: ['agent --join https://10.0.0.5:4483 --token hm1.…', 'agent --data-dir /var/lib/hivemind'],
    flags: [
      ['--join <url>', 'where a gateway of the cluster is (default: HIVEMIND_JOIN); the token is given with --token, or in HIVEMIND_JOIN_TOKEN'],
      ['--name <name>', 'of the node (default: the machine\'s host name)'],
      ['--advertise <ip>', 'where its published ports are reached (default: its first address)'],
      ['--gossip-port <port>', 'where its sidecar speaks with those of other machines, UDP and TCP (default: 7946)'],
      ['--dns-listen <ip[:port],...>', 'where its sidecar answers names of services, over UDP and TCP (default: nowhere; port 53)'],
      ...engineFlags,
    ],
    args: noArgs,
    options: z.object({
      join: z.string().optional(),
      name: DnsLabel.optional(),
      advertise: z.string().refine((text) => isIP(text) !== 0, 'is not an IP address').optional(),
      gossipPort: wholeNumber.refine((port) => port > 0 && port < 65_536, 'is not a port').optional(),
      dnsListen: dnsListen.optional(),
      ...engineOptions,
    }),
    async run({terminal: {env, out, err}, dataDir, givenToken}, _args, options) {
      const {startJoinedAgent} = await import('@hivemind/agent');
      const gateway = options.join ?? (env.HIVEMIND_JOIN || undefined);
      const token = givenToken ?? (env.HIVEMIND_JOIN_TOKEN || undefined);
      const {logger, flush} = await openLog();
      const asked = signalled();
      try {
        const agent = await startJoinedAgent({
          dataDir, logger,
          ...await engineOf(options, env),
          ...(gateway === undefined ? {} : {gateway}),
          ...(token === undefined ? {} : {token}),
          ...(options.name === undefined ? {} : {name: options.name}),
          ...(options.advertise === undefined ? {} : {address: options.advertise}),
          ...(options.gossipPort === undefined ? {} : {gossipPort: options.gossipPort}),
          ...(options.dnsListen === undefined ? {} : {dnsListen: options.dnsListen}),
        });
        out.write(`This machine is node ${agent.name}\n`);
        const removed = await Promise.race([asked, agent.removed]);
        if (removed) throw removed;
        await agent.stop();
      } catch (error) {
        if (!isError(error, 'node-removed')) throw error;
        printError(error, err);
        err.write(`What this machine runs goes on until it is removed: hivemind down --data-dir ${dataDir}\n`);
        return NODE_REMOVED;
      } finally {
        flush();
      }
    },
  });
}
