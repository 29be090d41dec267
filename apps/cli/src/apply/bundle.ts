/** What `-f` says, in the order it is applied: what an app uses before it, what denies before what it is denied to, what leads to it after. */
import {readdir, readFile, stat} from 'node:fs/promises';
import {basename, dirname, join, resolve} from 'node:path';
import {type ComposeBuild, composeErrors, dnsLabel, isManifest, type Notice, projectLabel, projectLabelKey, readComposeProject, readManifest} from '@hivemind/compose';
import * as z from 'zod';
import {cliErrors, systemCode} from '../errors.ts';
import type {Session} from '../session.ts';
import type {Terminal} from '../terminal.ts';

export const kinds = ['Namespace', 'NetworkPolicy', 'Config', 'Secret', 'Volume', 'App', 'Ingress'] as const;
export type Kind = (typeof kinds)[number];
/** Of these nothing is lost that the file does not say: they go with it. */
export const prunable: ReadonlySet<Kind> = new Set(['NetworkPolicy', 'Config', 'Secret', 'App', 'Ingress']);
/** Route of each kind. */
export const collections: Readonly<Record<Kind, string>> = {Namespace: '/namespaces', NetworkPolicy: '/network-policies', Config: '/configs', Secret: '/secrets', Volume: '/volumes', App: '/apps', Ingress: '/ingresses'};

export interface Resource {
  readonly kind: Kind;
  readonly name: string;
  /** Of a Namespace: its own name. */
  readonly namespace: string;
  /** For PUT. */
  readonly body: Readonly<Record<string, unknown>>;
  /** It only has to be there: an existing one is left as it is. */
  readonly implied?: true;
}

export interface Bundle {
  /** Value of the label that all its resources carry. */
  readonly project: string;
  readonly resources: readonly Resource[];
  readonly builds: readonly ComposeBuild[];
  readonly notices: readonly Notice[];
}

export const FileOptions = z.object({
  file: z.array(z.string(), 'is needed: say which file').min(1),
  project: z.string().optional(),
  profile: z.array(z.string()).default([]),
  envFile: z.array(z.string()).optional(),
});
export type FileOptions = z.infer<typeof FileOptions>;
export const fileFlags = [
  ['-f, --file <file>', 'Compose file or manifests, a directory that holds one, or - for standard input; several Compose files are merged', 'repeat'],
  ['-p, --project <name>', 'name of the project (default: as Compose names it)'],
  ['--profile <name>', 'profile of the Compose file to include, * for all', 'repeat'],
  ['--env-file <file>', 'variables for the Compose file, in place of .env', 'repeat'],
] as const;

const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/**
 * @throws `file-missing`, `yaml-malformed`, `compose-invalid`, `manifest-invalid`: each names file, line and column
 */
export async function readBundle(session: Session, options: FileOptions): Promise<Bundle> {
  const {terminal} = session;
  const stdin = options.file.includes('-') ? await readAll(terminal.in) : undefined;
  const files: string[] = [];
  for (const file of options.file) files.push(...(file === '-' ? ['-'] : await expand(resolve(terminal.cwd, file))));
  const texts: {readonly file: string; readonly text: string}[] = [];
  for (const file of files) texts.push({file, text: file === '-' ? (stdin ?? '') : decode(file, await readIfThere(file))});
  const manifests = texts.filter(({file, text}) => isManifest(text, file));
  if (manifests.length === 0) return composeBundle(session, options, files, stdin);
  if (manifests.length < texts.length) throw cliErrors['wrong-usage']('Compose files and manifests cannot be applied in one go: apply them one after the other');
  return manifestBundle(session, options, texts);
}

async function composeBundle({terminal, givenNamespace}: Session, options: FileOptions, files: readonly string[], stdin: string | undefined): Promise<Bundle> {
  const project = await readComposeProject({
    files: files.map((file) => (file === '-' ? join(terminal.cwd, '-') : file)),
    projectName: options.project ?? givenNamespace,
    profiles: options.profile,
    ...(options.envFile === undefined ? {} : {envFiles: options.envFile}),
    env: terminal.env,
    home: terminal.home,
    workingDirectory: terminal.cwd,
    readFile: async (path) => (stdin !== undefined && path === join(terminal.cwd, '-') ? new TextEncoder().encode(stdin) : readIfThere(path)),
  });
  const of = (kind: Kind, all: readonly {readonly name: string; readonly namespace: string; readonly spec: unknown}[]): Resource[] => all.map((body) => ({kind, name: body.name, namespace: body.namespace, body: {...body}}));
  return {
    project: project.name,
    resources: [
      {kind: 'Namespace', name: project.name, namespace: project.name, body: {name: project.name, spec: {}}, implied: true},
      ...of('Config', project.configs), ...of('Secret', project.secrets), ...of('Volume', project.volumes), ...of('App', project.apps),
    ],
    builds: project.builds,
    notices: project.notices,
  };
}

function manifestBundle({namespace}: Session, options: FileOptions, texts: readonly {readonly file: string; readonly text: string}[]): Bundle {
  const first = texts[0]?.file ?? '-';
  const project = options.project ?? (projectLabel(first === '-' ? 'stdin' : basename(dirname(first))) || 'default');
  const resources = texts.flatMap(({file, text}) => readManifest(text, file)).map(({kind, name, namespace: own, body}): Resource => {
    const labels = {...z.record(z.string(), z.string()).catch({}).parse(body.labels), [projectLabelKey]: dnsLabel(project)};
    const {kind: _kind, ...rest} = body;
    if (kind === 'Namespace') return {kind, name, namespace: name, body: {...rest, labels}};
    return {kind, name, namespace: own ?? namespace, body: {...rest, labels, namespace: own ?? namespace}};
  });
  const seen = new Set<string>();
  for (const {kind, namespace: where, name} of resources) {
    const key = `${kind} ${where}/${name}`;
    if (seen.has(key)) throw cliErrors['wrong-usage'](`${key} is described twice`);
    seen.add(key);
  }
  const spaces = new Set(resources.map(({namespace: space}) => space).filter((space) => space !== 'default' && !resources.some(({kind, name}) => kind === 'Namespace' && name === space)));
  const implied = [...spaces].map((name): Resource => ({kind: 'Namespace', name, namespace: name, body: {name, spec: {}}, implied: true}));
  return {project: dnsLabel(project), resources: [...implied, ...resources].toSorted((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind)), builds: [], notices: []};
}

/** A directory is the Compose file in it; a Compose file with a standard name brings its override file along. */
async function expand(path: string): Promise<readonly string[]> {
  const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const directory = isDirectory ? path : dirname(path);
  const entries = isDirectory || composeNames.includes(basename(path)) ? await readdir(directory).catch(() => []) : [];
  const main = isDirectory ? composeNames.find((name) => entries.includes(name)) : basename(path);
  if (main === undefined) {
    const manifests = entries.filter((name) => /\.ya?ml$/.test(name)).sort();
    if (manifests.length === 0) throw composeErrors['file-missing'](`There is neither a Compose file nor a manifest in ${path}`);
    return manifests.map((name) => join(directory, name));
  }
  const override = composeNames.includes(main) ? ['compose.override.yaml', 'compose.override.yml', 'docker-compose.override.yaml', 'docker-compose.override.yml'].find((name) => entries.includes(name)) : undefined;
  return [main, ...(override === undefined ? [] : [override])].map((name) => join(directory, name));
}

function decode(file: string, bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw composeErrors['file-missing'](`There is no file ${file}`);
  return new TextDecoder().decode(bytes);
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw cliErrors.failed(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
  }
}

export async function readAll(stream: Terminal['in']): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
