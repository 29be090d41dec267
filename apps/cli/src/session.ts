/** One run of the command: which server, as whom, in which namespace, how to print. */
import {readFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import * as z from 'zod';
import {ApiClient} from './api/client.ts';
import {cliErrors, systemCode} from './errors.ts';
import {type Format, Output} from './output/output.ts';
import type {Terminal} from './terminal.ts';

export interface GlobalOptions {
  readonly output: Format;
  readonly namespace?: string | undefined;
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly ca?: string | undefined;
}

export interface Session {
  readonly api: ApiClient;
  readonly output: Output;
  readonly terminal: Terminal;
  /** As asked for; undefined when nothing was said. */
  readonly givenServer?: string | undefined;
  /** `--token`, as asked for: of the API, or of whatever else the command takes one for. */
  readonly givenToken?: string | undefined;
  /** Absolute. */
  readonly dataDir: string;
  /** Asked for; undefined when nothing was said. */
  readonly givenNamespace: string | undefined;
  /** `default` when nothing was said. */
  readonly namespace: string;
}

export const DEFAULT_SERVER = 'http://127.0.0.1:4483';

export async function openSession(options: GlobalOptions, terminal: Terminal): Promise<Session> {
  const givenServer = serverOf(options, terminal);
  const server = givenServer ?? (await readIfThere(join(dataDirOf(options, terminal), 'api.url')))?.trim() ?? DEFAULT_SERVER;
  return {
    api: new ApiClient({server, token: await tokenFor(server, options, terminal), ca: await authoritiesFor(server, options, terminal)}),
    output: new Output(options.output, terminal),
    terminal,
    givenServer,
    givenToken: options.token,
    dataDir: resolve(terminal.cwd, dataDirOf(options, terminal)),
    givenNamespace: options.namespace,
    namespace: options.namespace ?? 'default',
  };
}

function serverOf(options: GlobalOptions, {env}: Pick<Terminal, 'env'>): string | undefined {
  const server = options.server ?? (env.HIVEMIND_SERVER || undefined);
  return server === undefined || /^https?:\/\//.test(server) ? server : `http://${server}`;
}

export function dataDirOf(options: Pick<GlobalOptions, 'dataDir'>, {env, home}: Pick<Terminal, 'env' | 'home'>): string {
  return options.dataDir ?? (env.HIVEMIND_DATA_DIR || join(home, '.hivemind'));
}

/** Tokens that `hivemind login` kept, by server. */
export const SavedTokens = z.record(z.string(), z.string());

export function savedTokensFile({env, home}: Pick<Terminal, 'env' | 'home'>): string {
  return join(env.XDG_CONFIG_HOME || join(home, '.config'), 'hivemind', 'tokens.json');
}

/** What was given, else what `login` kept for this server, else the admin token of the data dir. */
async function tokenFor(server: string, options: GlobalOptions, terminal: Terminal): Promise<string | undefined> {
  const given = options.token ?? terminal.env.HIVEMIND_TOKEN;
  if (given !== undefined && given !== '') return given;
  const saved = await readIfThere(savedTokensFile(terminal));
  const kept = saved === undefined ? undefined : SavedTokens.safeParse(JSON.parse(saved)).data?.[server];
  // The admin token is this machine's: it is not sent to another one.
  const local = new Set(['127.0.0.1', 'localhost', '[::1]']).has(new URL(server).hostname);
  const admin = kept === undefined && (local || terminal.env.HIVEMIND_DATA_DIR || options.dataDir) ? await readIfThere(join(dataDirOf(options, terminal), 'admin.token')) : undefined;
  return kept ?? (admin?.trim() || undefined);
}

/** Node's own authorities, and the cluster's: its gateways have certificates of it. */
async function authoritiesFor(server: string, options: GlobalOptions, terminal: Terminal): Promise<readonly string[] | undefined> {
  if (!server.startsWith('https:')) return undefined;
  const given = options.ca ?? (terminal.env.HIVEMIND_CA || undefined);
  const cluster = await readIfThere(given === undefined ? join(dataDirOf(options, terminal), 'ca.crt') : resolve(terminal.cwd, given));
  if (given !== undefined && cluster === undefined) throw cliErrors['wrong-usage'](`${given} cannot be read; --ca takes a PEM file`);
  return cluster === undefined ? undefined : [...(await import('node:tls')).rootCertificates, cluster];
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
