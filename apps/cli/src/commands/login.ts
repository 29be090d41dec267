/** `hivemind login` and `hivemind logout`: a token kept for a server. */
import {mkdir, readFile, rename, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import {createInterface} from 'node:readline/promises';
import {Writable} from 'node:stream';
import type {Command} from 'commander';
import * as z from 'zod';
import {Anything} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import {SavedTokens, savedTokensFile, type Session} from '../session.ts';
import type {Terminal} from '../terminal.ts';
import {type Host, leaf, noArgs, noOptions} from './define.ts';

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'login', summary: 'Check a token and keep it for this server', example: ['login --server https://hive.example:4483', 'login --token-stdin < token.txt'],
    flags: [['--token-stdin', 'token from standard input']], args: noArgs, options: z.object({tokenStdin: z.boolean().default(false)}),
    async run(session, _args, {tokenStdin}) {
      const token = (tokenStdin || session.api.token === undefined ? await askToken(session, tokenStdin) : session.api.token).trim();
      if (token === '') throw cliErrors['wrong-usage']('the token is empty');
      await session.api.post('/auth/login', Anything, {}, {token});
      await changeTokens(session.terminal, (tokens) => ({...tokens, [session.api.server]: token}));
      session.output.say(`logged in at ${session.api.server}; the token is kept in ${savedTokensFile(session.terminal)}`);
    },
  });
  leaf(parent, host, {
    use: 'logout', summary: 'Forget the token of this server', example: 'logout', args: noArgs, options: noOptions,
    async run(session) {
      await changeTokens(session.terminal, (tokens) => Object.fromEntries(Object.entries(tokens).filter(([server]) => server !== session.api.server)));
      session.output.say(`logged out of ${session.api.server}`);
    },
  });
}

/** Typed on a terminal it is not shown. */
async function askToken({terminal}: Session, fromStdin: boolean): Promise<string> {
  if (fromStdin || terminal.in.isTTY !== true) {
    const chunks: Buffer[] = [];
    for await (const chunk of terminal.in) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString('utf8');
  }
  terminal.err.write('Token: ');
  const reader = createInterface({input: terminal.in, output: new Writable({write: (_chunk, _encoding, done) => done()}), terminal: true});
  try {
    return await reader.question('');
  } finally {
    reader.close();
    terminal.err.write('\n');
  }
}

/** Replaced as a whole, so that a crash leaves the old file or the new one; 0600. */
async function changeTokens(terminal: Terminal, change: (tokens: Record<string, string>) => Record<string, string>): Promise<void> {
  const file = savedTokensFile(terminal);
  const before = await readFile(file, 'utf8').then((text) => SavedTokens.parse(JSON.parse(text)), () => ({}));
  await mkdir(dirname(file), {recursive: true, mode: 0o700});
  const fresh = `${file}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(change(before), null, 2)}\n`, {mode: 0o600});
  await rename(fresh, file);
}
