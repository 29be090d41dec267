/**
 * `hivemind service NAME`: one manager, or a gateway, as a process of its own, in the foreground. `hivemind service ls` and others:
 * the services of the cluster, which are something else; no manager is called so.
 */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {cliErrors} from '../errors.ts';
import {openLog, signalled} from '../foreground.ts';
import {checked, type Host, leaf} from './define.ts';
import {registerLooks} from './service/look.ts';

/** Flags go before the environment. */
const Environment = z.object({
  HIVEMIND_BUS: z.string().optional(),
  HIVEMIND_STORE: z.string().optional(),
  HIVEMIND_LISTEN: z.string().optional(),
  HIVEMIND_ADVERTISE: z.string().optional(),
  HIVEMIND_TLS: z.enum(['auto', 'off'], 'is neither auto nor off').optional(),
  HIVEMIND_ALLOW_WEAK_PERSISTENCE: z.enum(['true', 'false'], 'is neither true nor false').optional(),
});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'service <name>',
    summary: 'Run one manager, or a gateway, alone, until SIGTERM; or look at the cluster\'s services with the commands below',
    example: [
      'service app --bus nats://127.0.0.1:4222 --store redis://127.0.0.1:6379',
      'service gateway --listen 0.0.0.0:4483 --bus nats://10.0.0.5:4222 --store redis://10.0.0.5:6379',
    ],
    flags: [
      ['--bus <url>', 'NATS, as in nats://127.0.0.1:4222 (default: HIVEMIND_BUS)'],
      ['--store <url>', 'Redis, as in redis://127.0.0.1:6379 (default: HIVEMIND_STORE)'],
      ['--listen <host:port>', 'where it listens (default: HIVEMIND_LISTEN, else any port of 127.0.0.1; a gateway 127.0.0.1:4483)'],
      ['--advertise <host[:port]>', 'where others reach it (default: HIVEMIND_ADVERTISE, else where it listens)'],
      ['--tls <mode>', 'of a gateway: auto or off; off serves others in the clear, on closed test networks (default: HIVEMIND_TLS, else auto)'],
      ['--allow-weak-persistence', 'take a Redis that may lose what it acknowledged (also HIVEMIND_ALLOW_WEAK_PERSISTENCE=true)'],
    ],
    args: z.tuple([z.string()]),
    options: z.object({
      bus: z.string().optional(),
      store: z.string().optional(),
      listen: z.string().optional(),
      advertise: z.string().optional(),
      tls: z.enum(['auto', 'off'], 'is neither auto nor off').optional(),
      allowWeakPersistence: z.boolean().optional(),
    }),
    async run({terminal, dataDir}, [name], options) {
      const {startService} = await import('@hivemind/service-host');
      const env = checked(Environment, given(terminal.env), String);
      const [bus, store] = [options.bus ?? env.HIVEMIND_BUS, options.store ?? env.HIVEMIND_STORE];
      if (bus === undefined) throw cliErrors['wrong-usage']('--bus nats://HOST:PORT is needed (or HIVEMIND_BUS)');
      if (store === undefined) throw cliErrors['wrong-usage']('--store redis://HOST:PORT is needed (or HIVEMIND_STORE)');
      const {logger, flush} = await openLog();
      const asked = signalled();
      try {
        const service = await startService({
          name, bus, store, dataDir, logger,
          listen: options.listen ?? env.HIVEMIND_LISTEN,
          advertise: options.advertise ?? env.HIVEMIND_ADVERTISE,
          tls: options.tls ?? env.HIVEMIND_TLS,
          allowWeakPersistence: options.allowWeakPersistence ?? env.HIVEMIND_ALLOW_WEAK_PERSISTENCE === 'true',
        }).catch((error: unknown) => {
          throw isError(error, 'unknown-service') ? cliErrors['wrong-usage'](error.message) : error;
        });
        terminal.out.write(`${service.name} listens at ${service.url}\n`);
        await asked;
        await service.stop();
      } finally {
        flush();
      }
    },
  });
  const service = parent.commands.find((command) => command.name() === 'service');
  if (service) registerLooks(service, host);
}

/** A variable that is set to nothing is not set. */
function given(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}
