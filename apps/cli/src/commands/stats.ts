/** `hivemind stats` and `hivemind top`: what containers use. */
import {isError} from '@hivemind/contracts';
import type {Command} from 'commander';
import * as z from 'zod';
import {path} from '../api/client.ts';
import {ContainerView as Container, StatsView} from '../api/views.ts';
import {bytes, cores} from '../output/quantities.ts';
import {type Column, table} from '../output/table.ts';
import type {Session} from '../session.ts';
import {type Host, leaf, noArgs} from './define.ts';
import {namespaceText} from './ps.ts';

const REFRESH_MS = 2000;
const options = z.object({app: z.string().optional()});
const flags = [['--app <app>', 'only of this app']] as const;

export function register(parent: Command, host: Host): void {
  leaf(parent, host, {
    use: 'stats', summary: 'What containers use now', example: ['stats', 'stats --app web -o json'], flags, args: noArgs, options,
    async run(session, _args, {app}) {
      const {items, raw} = await readStats(session, app);
      await session.output.list(items, raw, columns, `No container runs in ${namespaceText(session)}.`);
    },
  });
  leaf(parent, host, {
    use: 'top', summary: 'What containers use, the busiest first, again and again until Ctrl-C', example: ['top', "top -n '*'"], flags, args: noArgs, options,
    async run(session, _args, {app}) {
      const {out} = session.terminal;
      if (out.isTTY !== true) {
        const {items, raw} = await readStats(session, app);
        return session.output.list(items, raw, columns, `No container runs in ${namespaceText(session)}.`);
      }
      while (true) {
        const {items} = await readStats(session, app);
        // Clear, and home: the table is drawn in place.
        out.write(`\u001b[H\u001b[2J${table(items.slice(0, Math.max(1, (out.rows ?? 24) - 2)), columns)}`);
        await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
      }
    },
  });
}

type Row = z.infer<typeof StatsView> & {readonly node: string; readonly app: string};

const columns: readonly Column<Row>[] = [
  {title: 'CONTAINER', value: ({id}) => id},
  {title: 'NODE', value: ({node}) => node},
  {title: 'CPU', value: ({cpu}) => cores(cpu)},
  {title: 'MEMORY', value: ({memory, memoryLimit}) => (memoryLimit > 0 ? `${bytes(memory)} / ${bytes(memoryLimit)}` : bytes(memory))},
  {title: 'NETWORK IN/OUT', value: ({networkIn, networkOut}) => `${bytes(networkIn)} / ${bytes(networkOut)}`},
  {title: 'DISK READ/WRITE', value: ({blockRead, blockWrite}) => `${bytes(blockRead)} / ${bytes(blockWrite)}`},
  {title: 'PROCESSES', value: ({pids}) => pids},
];

/** Of every running container; one that ends meanwhile is left out. */
async function readStats({api, namespace}: Session, app: string | undefined): Promise<{readonly items: readonly Row[]; readonly raw: readonly unknown[]}> {
  const {items: containers} = await api.list('/containers', Container, {namespace, app, phase: 'running'});
  const all = await Promise.all(containers.map(async ({name, spec}) => {
    try {
      const {data, raw} = await api.get(path`/containers/${name}/stats`, StatsView);
      return {row: {...data, node: spec.node, app: spec.app}, raw};
    } catch (error) {
      if (isError(error) && (error.status === 404 || error.status === 409)) return undefined;
      throw error;
    }
  }));
  const rows = all.filter((one) => one !== undefined).toSorted((a, b) => b.row.cpu - a.row.cpu);
  return {items: rows.map(({row}) => row), raw: rows.map(({raw}) => raw)};
}
