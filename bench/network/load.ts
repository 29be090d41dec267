/** Clients of the bench, and an app that is answered by next to no processor, so that what is measured is not they. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import * as z from 'zod';
import {askingProgram, type Load} from '../../apps/agent/test/load.ts';
import {type FreshOptions, startFresh} from './fresh-connections.ts';

const Report = z.object({made: z.number(), failed: z.record(z.string(), z.number()), times: z.record(z.string(), z.number())});
export type Report = z.infer<typeof Report>;
/** Times are in this many parts of a ms. */
export const GRAIN = 20;

export interface Outcome {
  readonly made: number;
  readonly failed: number;
  /** What went wrong how often, for people; empty: nothing. */
  readonly why: string;
  readonly seconds: number;
  /** ms until all was there, from when a request was due on a kept connection, from when its own was there elsewhere. @param share 0 to 1 */
  quantile(share: number): number;
}

export interface ClientOptions extends FreshOptions {
  /** That are kept; 0: each request has its own. */
  readonly connections: number;
}

function startClient({connections, ...options}: ClientOptions): Load<Report> {
  if (connections === 0) return startFresh(options);
  const {pid, address, port, perSecond} = options;
  return askingProgram(Report, [join(import.meta.dirname, 'client.ts'), address, String(port), String(perSecond), String(connections)], pid);
}

/** Of several clients together, while `work` is done; no client is left, whatever becomes of it. */
export async function under(clients: readonly (readonly ClientOptions[])[], work: () => Promise<unknown>): Promise<readonly Outcome[]> {
  const begun = performance.now();
  const running = clients.map((group) => group.map(startClient));
  const [done] = await Promise.allSettled([work()]);
  const reports = await Promise.all(running.map((group) => Promise.all(group.map((client) => client.stop()))));
  if (done?.status === 'rejected') throw done.reason;
  return reports.map((group) => outcomeOf(group, (performance.now() - begun) / 1_000));
}

function outcomeOf(reports: readonly Report[], seconds: number): Outcome {
  const failed = new Map<string, number>();
  const times = new Map<number, number>();
  for (const report of reports) {
    for (const [why, count] of Object.entries(report.failed)) failed.set(why, (failed.get(why) ?? 0) + count);
    for (const [time, count] of Object.entries(report.times)) times.set(Number(time), (times.get(Number(time)) ?? 0) + count);
  }
  const answered = [...times.values()].reduce((sum, count) => sum + count, 0);
  return {
    made: reports.reduce((sum, {made}) => sum + made, 0), failed: [...failed.values()].reduce((sum, count) => sum + count, 0), seconds,
    why: [...failed].map(([why, count]) => `${count} ${why}`).join(', '),
    quantile(share) {
      let before = 0;
      for (const [time, count] of [...times].toSorted(([a], [b]) => a - b)) if ((before += count) >= answered * share) return time / GRAIN;
      return Number.NaN;
    },
  };
}

export interface CheapServer {
  readonly command: readonly string[];
  /** Folders of this computer that its container needs, and where. */
  readonly mounts: readonly {readonly from: string; readonly to: string}[];
  remove(): void;
}

/** Answers `ok` at port 80 of any container, and is gone the moment it is told to stop: this computer's own HAProxy. */
export function cheapServer(): CheapServer {
  const conf = mkdtempSync(join(tmpdir(), 'hivemind-bench-server-'));
  writeFileSync(join(conf, 'haproxy.cfg'), ['global', '  nbthread 1', '  maxconn 2000', 'defaults', '  mode http', '  timeout client 60s', '  timeout http-keep-alive 60s', 'frontend ok', '  bind *:80', '  http-request return status 200 content-type text/plain string "ok\\n"', ''].join('\n'));
  const program = '/usr/sbin/haproxy';
  const libraries = execFileSync('ldd', [program], {encoding: 'utf8'}).matchAll(/(\/\S+) \(0x/g);
  const folders = new Set([...libraries].map(([, path = '']) => dirname(path)));
  return {
    command: ['/server/haproxy', '-db', '-f', '/conf/haproxy.cfg'],
    mounts: [{from: dirname(program), to: '/server'}, {from: conf, to: '/conf'}, ...[...folders].map((path) => ({from: path, to: path}))],
    remove: () => rmSync(conf, {recursive: true, force: true}),
  };
}
