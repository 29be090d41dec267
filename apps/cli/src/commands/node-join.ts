/** `hivemind node join-token`: what to run on a machine that is to become a node. */
import {CreatedJoinToken, Duration, JoinToken} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {type Host, leaf, noArgs, wholeNumber} from './define.ts';

const Tokens = z.object({items: z.array(JoinToken)});

export function registerJoinToken(node: Command, host: Host): void {
  leaf(node, host, {
    use: 'join-token',
    summary: 'A token with which machines join, and the command to run there',
    example: ['node join-token', 'node join-token --ttl 24h --uses 3 --label zone=a', 'node join-token --list', 'node join-token --revoke 3f9c01d2a4b7'],
    flags: [
      ['--ttl <duration>', 'for how long machines may join with it (default: 1h)'],
      ['--uses <number>', 'how many machines may (default: 1)'],
      ['--label <key=value>', 'a label of the machines that join with it', 'repeat'],
      ['--list', 'list the tokens that there are instead; their secrets are not kept'],
      ['--revoke <id>', 'make that token void instead; machines that joined with it stay'],
    ],
    args: noArgs,
    options: z.object({ttl: Duration.optional(), uses: wholeNumber.optional(), label: z.array(z.string()).default([]), list: z.boolean().default(false), revoke: z.string().optional()}),
    async run(session, _args, {ttl, uses, label, list, revoke}) {
      if (list) return listTokens(session);
      if (revoke !== undefined) {
        await session.api.call('DELETE', path`/nodes/join-tokens/${revoke}`, z.unknown());
        session.output.print(`join token ${revoke} is void\n`);
        return;
      }
      const {data, raw} = await session.api.post('/nodes/join-tokens', CreatedJoinToken, {}, {ttl, uses, labels: Object.fromEntries(label.map(pair))});
      await session.output.one(raw, () => `On the machine that is to join, until ${data.expiresAt}:\n\n  hivemind agent --join ${session.api.server} --token ${data.token}\n\n`);
      if (isLoopback(session.api.server)) session.output.note(`${session.api.server} is this machine only: from another one, join at an address that it reaches (hivemind up --advertise IP).`);
    },
  });
}

async function listTokens(session: Session): Promise<void> {
  const {data, raw} = await session.api.get('/nodes/join-tokens', Tokens);
  await session.output.list(data.items, z.object({items: z.array(z.unknown())}).parse(raw).items, [
    {title: 'TOKEN', value: ({id}) => id},
    {title: 'USES', value: ({uses, usedBy}) => `${usedBy.length} of ${uses}`},
    {title: 'EXPIRES', value: ({expiresAt}) => (Date.parse(expiresAt) > session.terminal.now() ? expiresAt : 'expired')},
    {title: 'USED BY', value: ({usedBy}) => usedBy.join(', ')},
  ], 'There is no join token.');
}

function pair(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw cliErrors['wrong-usage'](`--label ${text} is not KEY=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function isLoopback(server: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(server).hostname);
}
