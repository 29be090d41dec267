/** `hivemind membership`: the sidecar of this machine in the foreground, and tools that ask one through its socket. */
import type {Command} from 'commander';
import type {Bus} from '@hivemind/bus';
import {isError} from '@hivemind/contracts';
import type {Sidecar, SidecarOptions} from '@hivemind/sidecar';
import {parseAddress, parseHostPort} from '@hivemind/sidecar/address';
import {z} from 'zod';
import {cliErrors} from '../errors.ts';
import type {Terminal} from '../terminal.ts';
import {type Host, leaf, noArgs} from './define.ts';
import {socketFlag, socketOf} from './membership/socket.ts';
import {registerTools} from './membership/tools.ts';

/** Flags that hold an address; `parse` answers undefined for what is none. */
const address = <T>(parse: (text: string) => T | undefined, what: string) => z.string().transform((text, context): T => {
  const parsed = parse(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({code: 'custom', message: `${text} is not ${what}`});
  return z.NEVER;
});
const bound = address(parseAddress, 'an IP address and a port: write it as in 10.0.0.1:7946 or [fd00::1]:7946');
const reachable = address(parseHostPort, 'HOST:PORT: write it as in 10.0.0.1:7946, [fd00::1]:7946 or seed:7946');

const Tag = z.string().regex(/^[^=]+=/, {error: ({input}) => `${String(input)} is not KEY=VALUE`});
const options = z.object({
  name: z.string('is needed').min(1, 'is empty').max(128, 'is longer than 128 characters'),
  bind: z.string('is needed').pipe(bound),
  advertise: bound.optional(),
  join: z.array(z.string()).default([]).transform((lists) => lists.flatMap((list) => list.split(',')).map((word) => word.trim()).filter((word) => word !== '')).pipe(z.array(reachable)),
  keyFile: z.string().optional(),
  socket: z.string().optional(),
  zone: z.string().optional(),
  tag: z.array(Tag).default([]).transform((tags) => Object.fromEntries(tags.map((tag) => [tag.slice(0, tag.indexOf('=')), tag.slice(tag.indexOf('=') + 1)]))),
  bus: z.string().regex(/^(nats|tls):\/\/\S+$/, 'is not a bus: write it as in nats://10.0.0.1:4222').optional(),
  metrics: z.union([z.literal('off'), reachable], 'is neither HOST:PORT nor off').optional(),
});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'membership',
    summary: 'Be this machine\'s sidecar, a member of the ring, until Ctrl-C; or ask one with the commands below',
    example: ['membership --name n1 --bind 10.0.0.1:7946 --join 10.0.0.2:7946 --key-file ring.key', 'membership ls'],
    flags: [
      ['--name <name>', 'of this machine, the only one in the ring'],
      ['--bind <ip:port>', 'where the ring is spoken, UDP and TCP; port 0: any that is free'],
      ['--advertise <ip:port>', 'what others are told, where that is another address'],
      ['--join <host:port,...>', 'members of the ring; may be given several times', 'repeat'],
      ['--key-file <file>', 'base64 keys of 16, 24 or 32 bytes, one a line; the first one sends'],
      socketFlag,
      ['--zone <zone>', 'where the machine stands'],
      ['--tag <key=value>', 'what else it tells of itself; may be given several times', 'repeat'],
      ['--bus <url>', 'the cluster\'s bus, as in nats://10.0.0.1:4222'],
      ['--metrics <host:port>', 'where liveness and metrics are served, or off (default: any free port of 127.0.0.1)'],
    ],
    args: noArgs,
    options,
    async run({terminal, dataDir, ...session}, _args, {tag, socket, bus, ...given}) {
      const logger = await openLog(terminal);
      const sidecar = await start({
        ...given, tags: tag, dataDir, logger,
        socket: socketOf({dataDir, terminal, ...session}, socket),
        ...(bus === undefined ? {} : {connectBus: () => connect(bus, given.name, logger)}),
      });
      const asked = signalled();
      terminal.out.write(`Member ${given.name} listens at ${sidecar.address.host}:${sidecar.address.port}, socket ${sidecar.socket}${sidecar.metrics === undefined ? '' : `, metrics http://${sidecar.metrics}/metrics`}\n`);
      await Promise.race([asked, sidecar.left]);
      await sidecar.stop();
    },
  });
  const membership = parent.commands.find((command) => command.name() === 'membership');
  if (membership) registerTools(membership, host);
}

/** What is wrong with flags and the files they name is wrong usage. */
async function start(given: SidecarOptions): Promise<Sidecar> {
  const {startSidecar} = await import('@hivemind/sidecar');
  const flags: Readonly<Record<string, string>> = {'key-file-invalid': '--key-file', 'socket-invalid': '--socket', 'invalid-input': '--bind', 'member-invalid': '--name', 'metadata-too-large': '--tag'};
  try {
    return await startSidecar(given);
  } catch (error) {
    const flag = isError(error) ? flags[error.code] : undefined;
    throw flag === undefined || !isError(error) ? error : cliErrors['wrong-usage'](`${flag}: ${error.message}`, {cause: error});
  }
}

async function connect(servers: string, name: string, logger: SidecarOptions['logger']): Promise<Bus> {
  const {connectNatsBus} = await import('@hivemind/bus');
  return connectNatsBus({servers, name: `sidecar ${name}`, logger});
}

/** JSON lines on stderr, for a supervisor. */
async function openLog({env}: Terminal): Promise<SidecarOptions['logger']> {
  const {pino} = await import('pino');
  return pino({level: env.HIVEMIND_LOG_LEVEL ?? 'info', base: undefined, timestamp: pino.stdTimeFunctions.isoTime}, pino.destination({dest: 2, sync: true}));
}

/** Resolves at the first signal to stop. At the second, nothing is waited for any more. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (): void => {
      if (count++ === 0) resolve();
      else process.exit(1);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
