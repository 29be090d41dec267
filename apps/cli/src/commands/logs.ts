/** `hivemind logs`: what containers print. */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {path, type Query} from '../api/client.ts';
import {jsonLines} from '../api/streams.ts';
import {Anything, LogLineView} from '../api/views.ts';
import {cliErrors} from '../errors.ts';
import type {Session} from '../session.ts';
import {durationFlag, type Flag, type Host, leaf, oneArg, wholeNumber} from './define.ts';

export const logFlags: readonly Flag[] = [
  ['-f, --follow', 'go on as more comes'],
  ['--tail <lines>', 'only the last lines'],
  ['--since <time>', 'only newer: a duration as in 10m, or a time as in 2026-01-31T12:00:00Z'],
  ['-t, --timestamps', 'begin each line with its time'],
];
const neither = 'is neither a duration, as in 10m, nor a time, as in 2026-01-31T12:00:00Z';
const Moment = z.union([durationFlag, z.iso.datetime({offset: true, error: neither})], neither);
export const LogOptions = z.object({follow: z.boolean().default(false), tail: wholeNumber.optional(), since: Moment.optional(), timestamps: z.boolean().default(false)});

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'logs <name>',
    summary: 'What a container prints, or all containers of an app',
    example: ['logs web -f', 'logs web-x7k2p --tail 100 -t'],
    flags: logFlags,
    args: oneArg,
    options: LogOptions,
    async run(session, [name], options) {
      const isContainer = await exists(session, path`/containers/${name}`);
      if (isContainer) await printLogs(session, path`/containers/${name}/logs`, {}, options, false);
      else await printLogs(session, path`/apps/${name}/logs`, {namespace: session.namespace}, options, true);
    },
  });
}

/** @param named whether each line says which container it is from */
export async function printLogs(session: Session, where: string, query: Query, options: z.output<typeof LogOptions>, named: boolean): Promise<void> {
  const {follow, tail, since, timestamps} = options;
  const from = typeof since === 'number' ? new Date(session.terminal.now() - since).toISOString() : since;
  const response = await session.api.open('GET', where, {query: {...query, follow: follow || undefined, tail, since: from}});
  const colour = session.terminal.out.isTTY === true ? new Colours() : undefined;
  for await (const entry of jsonLines(response, LogLineView)) {
    if (session.output.structured) {
      session.output.print(`${JSON.stringify(entry)}\n`);
      continue;
    }
    const prefix = [...(named ? [colour?.of(entry.container) ?? entry.container] : []), ...(timestamps ? [entry.time] : [])].join(' ');
    const text = `${prefix === '' ? '' : `${prefix} | `}${entry.line}\n`;
    const to = entry.stream === 'stderr' ? session.terminal.err : session.terminal.out;
    if (!to.write(text)) await new Promise((resolve) => to.once('drain', resolve));
  }
}

export async function exists({api}: Session, where: string): Promise<boolean> {
  try {
    await api.get(where, Anything);
    return true;
  } catch (error) {
    if (isError(error) && error.status === 404) return false;
    throw error;
  }
}

/** A container of that name, or the first ready one of the app of that name. @throws `failed` when there is neither */
export async function containerFor(session: Session, name: string): Promise<string> {
  if (await exists(session, path`/containers/${name}`)) return name;
  const Candidate = z.object({name: z.string(), status: z.object({phase: z.string(), ready: z.boolean().default(false)})});
  const {items} = await session.api.list('/containers', Candidate, {namespace: session.namespace, app: name});
  const running = items.filter(({status}) => status.phase === 'running');
  const chosen = running.find(({status}) => status.ready) ?? running[0];
  if (chosen === undefined) throw cliErrors.failed(`There is no container ${name}, and no app ${name} with a running container in namespace ${session.namespace}. hivemind ps lists what there is.`);
  return chosen.name;
}

/** One colour a container, in the order of appearance. */
class Colours {
  readonly #seen = new Map<string, number>();

  of(container: string): string {
    const index = this.#seen.get(container) ?? this.#seen.size;
    this.#seen.set(container, index);
    return `\u001b[${[36, 33, 32, 35, 34, 31][index % 6]}m${container}\u001b[0m`;
  }
}
