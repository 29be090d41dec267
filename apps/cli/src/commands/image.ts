/** `hivemind image …`. */
import {createReadStream, createWriteStream} from 'node:fs';
import {rename, rm} from 'node:fs/promises';
import {resolve} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {jsonLines} from '../api/streams.ts';
import {ImageView as Image, ProgressView} from '../api/views.ts';
import {send} from '../apply/build.ts';
import {cliErrors} from '../errors.ts';
import {age, bytes} from '../output/quantities.ts';
import {pairs} from './app.ts';
import {exampleText, type Host, leaf, noArgs, oneArg} from './define.ts';

export function register(parent: Command, host: Host): void {
  const image = parent.command('image').description('Images on the machines').addHelpText('after', exampleText(['image ls', 'image pull nginx:1.29']));
  leaf(image, host, {
    use: 'ls', alias: 'list', summary: 'List images', example: 'image ls', flags: [['--node <node>', 'only on this node']], args: noArgs, options: z.object({node: z.string().optional()}),
    async run(session, _args, {node}) {
      const {items, raw} = await session.api.list('/images', Image, {node});
      await session.output.list(items, raw, [
        {title: 'IMAGE', value: ({tags, id}) => tags[0] ?? id.replace('sha256:', '').slice(0, 12)},
        {title: 'ID', value: ({id}) => id.replace('sha256:', '').slice(0, 12)},
        {title: 'SIZE', value: ({size}) => bytes(size)},
        {title: 'AGE', value: ({createdAt}) => age(createdAt, session.terminal.now())},
        {title: 'NODE', value: (item) => item.node},
        {title: 'TAGS', value: ({tags}) => tags.join(', '), wide: true},
      ], 'There is no image.');
    },
  });
  registerPull(image, host);
  registerArchives(image, host);
  leaf(image, host, {
    use: 'build <directory>', summary: 'Build an image with the engines of the cluster', example: 'image build . --tag shop/web:2 --build-arg VERSION=2',
    flags: [
      ['-t, --tag <name>', 'name of the image'], ['--file <path>', 'Dockerfile within the directory (default: Dockerfile)'], ['--build-arg <KEY=VALUE>', 'argument of the build', 'repeat'],
      ['--target <stage>', 'stage to build'], ['--label <KEY=VALUE>', 'label of the image', 'repeat'], ['--no-cache', 'build every step again'],
    ],
    args: oneArg,
    options: z.object({tag: z.string('is needed'), file: z.string().default('Dockerfile'), buildArg: z.array(z.string()).default([]), target: z.string().optional(), label: z.array(z.string()).default([]), cache: z.boolean().default(true)}),
    async run(session, [directory], {tag, file, buildArg, target, label, cache}) {
      const {openContext} = await import('../apply/context.ts');
      const build = {context: resolve(session.terminal.cwd, directory), dockerfile: file, args: pairs(buildArg, '--build-arg'), labels: pairs(label, '--label'), noCache: !cache, extraHosts: [], ...(target === undefined ? {} : {target})};
      await send(session, build, tag, await openContext(build));
      session.output.say(`image ${tag} built`);
    },
  });
}

function registerPull(image: Command, host: Host): void {
  leaf(image, host, {
    use: 'pull <image>', summary: 'Fetch an image to the machines ahead of time', example: ['image pull nginx:1.29', 'printf %s "$TOKEN" | hivemind image pull registry.example/app:1 --username me --password-stdin'],
    flags: [['--node <node>', 'only to this node'], ['--username <name>', 'user at the registry'], ['--password-stdin', 'password from standard input']],
    args: oneArg, options: z.object({node: z.string().optional(), username: z.string().optional(), passwordStdin: z.boolean().default(false)}),
    async run(session, [name], {node, username, passwordStdin}) {
      if ((username !== undefined) !== passwordStdin) throw cliErrors['wrong-usage']('--username and --password-stdin go together');
      const credentials = username === undefined ? undefined : {username, password: (await readStdin(session.terminal.in)).replace(/\r?\n$/, '')};
      const response = await session.api.open('POST', '/images/pull', {body: {image: name, ...(node === undefined ? {} : {node}), ...(credentials === undefined ? {} : {credentials})}});
      const live = session.terminal.err.isTTY === true;
      for await (const {status, error, layer, current, total} of jsonLines(response, ProgressView)) {
        if (error !== undefined) throw cliErrors.failed(`${name} could not be pulled: ${error}`);
        if (live && status !== '') session.output.note(`  ${layer === undefined ? '' : `${layer}: `}${status}${total === undefined || total === 0 ? '' : ` ${bytes(current ?? 0)} of ${bytes(total)}`}`);
      }
      session.output.say(`image ${name} pulled`);
    },
  });
}

function registerArchives(image: Command, host: Host): void {
  leaf(image, host, {
    use: 'import <file>', summary: 'Import images from an archive of docker save or OCI, plain or compressed; - reads standard input', example: ['image import web.tar', 'docker save web:1 | hivemind image import -'],
    flags: [['--node <node>', 'only to this node']], args: oneArg, options: z.object({node: z.string().optional()}),
    async run(session, [file], {node}) {
      const stream = file === '-' ? session.terminal.in : createReadStream(resolve(session.terminal.cwd, file));
      const response = await session.api.open('POST', '/images/import', {query: {node}, upload: {stream: Readable.from(stream, {objectMode: false}), type: 'application/x-tar'}});
      for await (const {status, error} of jsonLines(response, ProgressView)) {
        if (error !== undefined) throw cliErrors.failed(`${file} could not be imported: ${error}`);
        if (session.terminal.err.isTTY === true && status !== '') session.output.note(`  ${status}`);
      }
      session.output.say(`${file} imported`);
    },
  });
  leaf(image, host, {
    use: 'export <image> <file>', summary: 'Write an image to an archive that docker load, ctr and image import take', example: 'image export shop/web:2 web.tar',
    flags: [['--node <node>', 'from this node (default: the first that has it)']],
    args: z.tuple([z.string(), z.string()]), options: z.object({node: z.string().optional()}),
    async run(session, [name, file], {node}) {
      const target = resolve(session.terminal.cwd, file);
      const response = await session.api.open('GET', '/images/export', {query: {image: name, node}});
      // Whole, or not there.
      await pipeline(response, createWriteStream(`${target}.part`)).then(() => rename(`${target}.part`, target), async (error: unknown) => {
        await rm(`${target}.part`, {force: true});
        throw error;
      });
      session.output.say(`image ${name} exported to ${file}`);
    },
  });
  leaf(image, host, {
    use: 'rm <image>', summary: 'Remove an image from the machines; one that a container is made from is kept', example: 'image rm nginx:1.28',
    flags: [['--node <node>', 'only from this node']], args: oneArg, options: z.object({node: z.string().optional()}),
    async run(session, [name], {node}) {
      (await session.api.open('DELETE', path`/images/${name}`, {query: {node}})).resume();
      session.output.say(`image ${name} removed`);
    },
  });
}

async function readStdin(stream: AsyncIterable<string | Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
