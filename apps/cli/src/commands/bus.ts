/** `hivemind bus …`: the NATS that a cluster's services and machines speak over. */
import {join, resolve} from 'node:path';
import type {Command} from 'commander';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import {exampleText, type Host, leaf, oneArg} from './define.ts';

export function register(parent: Command, host: Host): void {
  const example = 'bus config /etc/hivemind/nats --store redis://10.0.0.5:6379 --advertise 10.0.0.5';
  const bus = parent.command('bus').description('The NATS that the services of a cluster share').addHelpText('after', exampleText(example));
  leaf(bus, host, {
    use: 'config <dir>',
    summary: 'Write what a nats-server of this cluster starts with: nats.conf, and a certificate for 30 days. Safe to repeat',
    example: [example, 'bus config /etc/hivemind/nats --advertise nats1.example.org --cluster-listen 0.0.0.0:6222 --route nats2.example.org:6222'],
    flags: [
      ['--store <url>', 'Redis, as services are given it (default: HIVEMIND_STORE)'],
      ['--listen <host:port>', 'where the server listens (default: 0.0.0.0:4222)'],
      ['--advertise <host>', 'a name or address by which others reach it', 'repeat'],
      ['--cluster-listen <host:port>', 'where it speaks with other servers of the same bus'],
      ['--route <host:port>', 'such a server', 'repeat'],
      ['--accounts <dir>', 'where the server keeps who was voided; it has to be able to write there (default: accounts in <dir>)'],
      ['--allow-weak-persistence', 'take a Redis that may lose what it acknowledged'],
    ],
    args: oneArg,
    options: z.object({
      store: z.string().optional(),
      listen: z.string().default('0.0.0.0:4222'),
      advertise: z.array(z.string()).default([]),
      clusterListen: z.string().optional(),
      route: z.array(z.string()).default([]),
      accounts: z.string().optional(),
      allowWeakPersistence: z.boolean().optional(),
    }),
    async run({terminal, dataDir, output}, [directory], {clusterListen, route: routes, accounts, store = terminal.env.HIVEMIND_STORE || undefined, ...options}) {
      if (store === undefined) throw cliErrors['wrong-usage']('--store redis://HOST:PORT is needed (or HIVEMIND_STORE)');
      if (clusterListen === undefined && routes.length > 0) throw cliErrors['wrong-usage']('--route needs --cluster-listen HOST:PORT: servers of one bus call each other');
      const dir = resolve(terminal.cwd, directory);
      const {configureBus} = await import('@hivemind/service-host/bus-config');
      const {url} = await configureBus({
        ...options, store, dataDir, dir,
        ...(accounts === undefined ? {} : {accounts: resolve(terminal.cwd, accounts)}),
        ...(clusterListen === undefined ? {} : {peers: {listen: clusterListen, routes}}),
      });
      output.say(`start it: nats-server -c ${join(dir, 'nats.conf')}\nname it to services: --bus ${url}`);
    },
  });
}
