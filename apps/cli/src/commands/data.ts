/** What `secret` and `config` share: making one from words, files or standard input, listing, deleting. */
import {readFile} from 'node:fs/promises';
import {basename, resolve} from 'node:path';
import {contentKey, contentsOf} from '@hivemind/compose';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {Anything, ResourceView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {type Host, leaf, noOptions} from './define.ts';

type Kind = 'secret' | 'config';

export function registerData(parent: Command, host: Host, kind: Kind): void {
  const secretly = kind === 'secret' ? '; a value on the command line is seen by others on this machine, a file is not' : '';
  leaf(parent, host, {
    use: 'create <name>',
    summary: `Create or replace a ${kind}${secretly}`,
    example: kind === 'secret'
      ? ['secret create db --from-file password=./password.txt', 'secret create tls --from-file ./tls.crt --from-file ./tls.key', `printf %s "$PASSWORD" | hivemind secret create db --from-stdin password`]
      : ['config create site --from-file ./nginx.conf', 'config create flags --set beta=on'],
    flags: [
      ['--from-file <[KEY=]FILE>', 'value from a file; the key is the file\'s name unless given', 'repeat'],
      ['--set <KEY=VALUE>', 'value', 'repeat'],
      ['--from-stdin [key]', `value from standard input (key: ${contentKey})`],
    ],
    args: z.tuple([z.string()]),
    options: z.object({fromFile: z.array(z.string()).default([]), set: z.array(z.string()).default([]), fromStdin: z.union([z.string(), z.literal(true)]).optional()}),
    async run(session, [name], options) {
      const values = await readValues(session, options);
      if (values.size === 0) throw cliErrors['wrong-usage'](`say what is in it: --from-file, --set or --from-stdin`);
      const {status, raw} = await session.api.call('PUT', path`/${`${kind}s`}/${name}`, ResourceView, {body: {name, namespace: session.namespace, spec: specOf(values)}, query: {namespace: session.namespace}});
      await session.output.one(raw, () => `${kind}/${name} ${status === 201 ? 'created' : 'configured'}\n`);
    },
  });
  leaf(parent, host, {
    use: 'rm <name...>', alias: 'delete', summary: `Delete ${kind}s`, example: `${kind} rm db`, args: z.tuple([z.array(z.string())]), options: noOptions,
    async run(session, [names]) {
      for (const name of names) {
        await session.api.call('DELETE', path`/${`${kind}s`}/${name}`, Anything, {query: {namespace: session.namespace}});
        session.output.say(`${kind}/${name} deleted`);
      }
    },
  });
}

interface Sources {
  readonly fromFile: readonly string[];
  readonly set: readonly string[];
  readonly fromStdin?: string | true | undefined;
}

async function readValues({terminal}: Session, {fromFile, set, fromStdin}: Sources): Promise<ReadonlyMap<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (const text of fromFile) {
    const [, key, file = text] = /^([^=/]+)=(.*)$/s.exec(text) ?? [];
    try {
      values.set(key ?? basename(file), await readFile(resolve(terminal.cwd, file)));
    } catch (error) {
      throw cliErrors.failed(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
    }
  }
  for (const text of set) {
    const equals = text.indexOf('=');
    if (equals < 1) throw cliErrors['wrong-usage'](`--set ${text} is not KEY=VALUE`);
    values.set(text.slice(0, equals), new TextEncoder().encode(text.slice(equals + 1)));
  }
  if (fromStdin !== undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of terminal.in) chunks.push(Buffer.from(chunk));
    values.set(fromStdin === true ? contentKey : fromStdin, Buffer.concat(chunks));
  }
  return values;
}

/** Text as long as all of it is; otherwise everything as base64. */
function specOf(values: ReadonlyMap<string, Uint8Array>): Readonly<Record<string, unknown>> {
  const read = [...values].map(([key, bytes]) => ({key, bytes, contents: contentsOf(bytes)}));
  const binary = read.some(({contents}) => contents.encoding === 'base64');
  const data = Object.fromEntries(read.map(({key, bytes, contents}) => [key, binary ? Buffer.from(bytes).toString('base64') : (contents.data[contentKey] ?? '')]));
  return binary ? {data, encoding: 'base64'} : {data};
}
