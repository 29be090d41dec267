/** `hivemind membership ls|watch|join|leave|keys|stats|leader`: what a sidecar answers through its socket. */
import type {Command} from 'commander';
import {isError} from '@hivemind/contracts';
import type {Member, SidecarClient, Statistics} from '@hivemind/sidecar/client';
import * as z from 'zod';
import {cliErrors} from '../../errors.ts';
import {age, bytes} from '../../output/quantities.ts';
import {type Column, fields} from '../../output/table.ts';
import type {Session} from '../../session.ts';
import {exampleText, type Host, leaf, type Leaf, noArgs} from '../define.ts';
import {socketFlag, socketOf} from './socket.ts';

const options = z.object({socket: z.string().optional()});

type Tool<Args extends z.ZodType> = Omit<Leaf<Args, typeof options>, 'run' | 'options' | 'flags'> & {run(client: SidecarClient, session: Session, args: z.output<Args>): Promise<void>};

export function registerTools(membership: Command, host: Host): void {
  const tool = <Args extends z.ZodType>(parent: Command, {run, ...definition}: Tool<Args>): void =>
    leaf(parent, host, {
      ...definition, options, flags: [socketFlag],
      async run(session, args, {socket}) {
        const {connectSidecar} = await import('@hivemind/sidecar/client');
        // `membership` has the flag too, and takes it first.
        using client = connectSidecar(socketOf(session, socket ?? options.parse(membership.opts()).socket));
        await run(client, session, args);
      },
    });

  tool(membership, {
    use: 'ls', alias: 'list', summary: 'Members of the ring, as this machine sees them', example: ['membership ls', 'membership ls --socket /run/hivemind/sidecar.sock -o json'], args: noArgs,
    async run(client, {output, terminal}) {
      const {members, self} = await client.members();
      const sorted = members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      await output.list(sorted, sorted.map(plain), columns(self, terminal.now()), 'There is no member.');
    },
  });
  tool(membership, {
    use: 'watch', summary: 'Changes of the ring as they happen, until Ctrl-C; first the members there are', example: ['membership watch', 'membership watch -o json'], args: noArgs,
    run: watch,
  });
  tool(membership, {
    use: 'join <addresses...>', summary: 'Ask these members for the ring: IP addresses and ports', example: 'membership join 10.0.0.2:7946 10.0.0.3:7946', args: z.tuple([z.array(z.string())]),
    async run(client, {output}, [addresses]) {
      const joined = await client.join(addresses);
      await output.one({joined}, () => `${joined} of ${addresses.length} answered\n`);
    },
  });
  tool(membership, {
    use: 'leave', summary: 'Tell the ring that this machine goes; its sidecar ends', example: 'membership leave', args: noArgs,
    async run(client, {output}) {
      await client.leave();
      output.say('left the ring');
    },
  });
  tool(membership, {
    use: 'stats', summary: 'What the sidecar counts', example: 'membership stats -o json', args: noArgs,
    async run(client, {output}) {
      const statistics = await client.statistics();
      await output.one(statistics, () => statisticsText(statistics));
    },
  });
  tool(membership, {
    use: 'leader', summary: 'Who leads, as this machine knows it', example: 'membership leader', args: noArgs,
    async run(client, {output}) {
      const {name, node, since, epoch, revision, provisional} = await client.leader();
      if (name === '') throw cliErrors.failed('Nobody is known to lead, and the ring is empty.');
      const view = {name, ...(node === '' ? {} : {node}), ...(provisional ? {} : {since, revision: {epoch, n: revision}}), provisional};
      await output.one(view, () => fields([['Leader', `${name}${provisional ? ' (provisional: the store\'s leader is not heard)' : ''}`], ['Node', node], ['Since', since]]));
    },
  });
  registerKeys(membership, tool);
}

function registerKeys(membership: Command, tool: <Args extends z.ZodType>(parent: Command, definition: Tool<Args>) => void): void {
  const keys = membership.command('keys').description('The ring\'s keys: install the new one everywhere, use it everywhere, remove the old one').addHelpText('after', exampleText(['membership keys ls', 'head -c 32 /dev/urandom | base64 | hivemind membership keys install -']));
  const show = (output: Session['output'], fingerprints: readonly string[]): Promise<void> =>
    output.list(fingerprints, fingerprints.map((fingerprint, index) => ({fingerprint, primary: index === 0})), [{title: 'KEY', value: (fingerprint) => fingerprint}, {title: 'USE', value: (fingerprint) => (fingerprint === fingerprints[0] ? 'sends' : 'opens')}], 'There is no key.');

  tool(keys, {use: 'ls', alias: 'list', summary: 'Fingerprints of the keys; the first one sends', example: 'membership keys ls', args: noArgs, run: async (client, {output}) => show(output, await client.keys())});
  tool(keys, {
    use: 'install <file>', summary: 'Install the first key of a key file; - reads it from standard input', example: ['membership keys install new.key', 'membership keys install - < new.key'], args: z.tuple([z.string()]),
    async run(client, {output, terminal}, [file]) {
      const [{parseKeyFile}, text] = await Promise.all([import('@hivemind/sidecar/key-file'), read(file, terminal)]);
      const [key] = keysIn(file, () => parseKeyFile(text));
      if (key) await show(output, await client.installKey(key));
    },
  });
  tool(keys, {use: 'use <fingerprint>', summary: 'Send with this key from now on', example: 'membership keys use 1f2e3d4c', args: z.tuple([z.string()]), run: async (client, {output}, [fingerprint]) => show(output, await client.useKey(fingerprint))});
  tool(keys, {use: 'rm <fingerprint>', alias: 'remove', summary: 'Forget a key that is no longer used', example: 'membership keys rm 1f2e3d4c', args: z.tuple([z.string()]), run: async (client, {output}, [fingerprint]) => show(output, await client.removeKey(fingerprint))});
}

/** A file that holds no key is wrong usage. */
function keysIn<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw isError(error, 'key-file-invalid') ? cliErrors['wrong-usage'](`${file}: ${error.message}`, {cause: error}) : error;
  }
}

async function read(file: string, {in: input, cwd}: Session['terminal']): Promise<string> {
  if (file === '-') {
    let text = '';
    for await (const chunk of input) text += String(chunk);
    return text;
  }
  const [{readFile}, {resolve}] = await Promise.all([import('node:fs/promises'), import('node:path')]);
  return readFile(resolve(cwd, file), 'utf8');
}

async function watch(client: SidecarClient, {output, terminal}: Session): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  const line = (change: string, member: Member): string => `${new Date(terminal.now()).toISOString()}  ${change.padEnd(9)}  ${member.name}  ${member.state}  ${address(member)}\n`;
  try {
    for await (const {whole, change, member} of client.watch(ending.signal)) {
      if (whole && output.structured) output.print(`${JSON.stringify({type: 'whole', members: whole.members.map(plain)})}\n`);
      else if (whole) for (const one of whole.members) output.print(line('is', one));
      if (member && output.structured) output.print(`${JSON.stringify({type: change, member: plain(member)})}\n`);
      else if (member) output.print(line(change, member));
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
  }
}

/** As JSON and YAML show it: nothing that is not known. */
function plain(member: Member): object {
  const {name, state, incarnation, sinceMs, rttMs, zone, agentVersion, api, tags} = member;
  const known = Object.fromEntries(Object.entries({zone, agentVersion, api}).filter(([, value]) => value !== ''));
  return {name, address: address(member), state, incarnation, since: new Date(sinceMs).toISOString(), ...(rttMs === undefined ? {} : {rttMs}), ...known, tags};
}

function address({host, port}: Member): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function columns(self: string, now: number): readonly Column<Member>[] {
  return [
    {title: 'MEMBER', value: ({name}) => (name === self ? `${name} (this)` : name)},
    {title: 'STATE', value: ({state}) => state},
    {title: 'ADDRESS', value: address},
    {title: 'ZONE', value: ({zone}) => zone},
    {title: 'RTT', value: ({rttMs}) => (rttMs === undefined ? '-' : `${rttMs.toFixed(1)}ms`)},
    {title: 'SINCE', value: ({sinceMs}) => age(new Date(sinceMs).toISOString(), now)},
    {title: 'INCARNATION', value: ({incarnation}) => incarnation, wide: true},
    {title: 'TAGS', value: ({tags}) => Object.entries(tags).map(([key, value]) => `${key}=${value}`).join(','), wide: true},
  ];
}

function statisticsText({health, members, packetsIn, packetsOut, bytesIn, bytesOut, dropped, probes, probeFailures, pushPulls, metricsAddress, residentMemory, bus}: Statistics): string {
  const amounts = (counts: Readonly<Record<string, number>>): string => Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(', ');
  return fields([
    ['Members', amounts(members)], ['Health', health === 0 ? 'well' : `${health} of 8 (0 is well)`],
    ['Probes', `${probes}, ${probeFailures} failed`], ['Views exchanged', pushPulls],
    ['Received', `${packetsIn} packets, ${bytes(bytesIn)}`], ['Sent', `${packetsOut} packets, ${bytes(bytesOut)}`], ['Dropped', amounts(dropped)],
    ['Bus', bus], ['Metrics', metricsAddress === '' ? 'off' : `http://${metricsAddress}/metrics`],
    ['Memory', bytes(residentMemory)],
  ]);
}
