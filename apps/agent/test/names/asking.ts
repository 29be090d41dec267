/** Clients in a container that ask for an app by its name each time, by the resolver that the container was given. */
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import * as z from 'zod';
import {askingProgram, type Load} from '../load.ts';

const Asked = z.object({
  made: z.number(),
  /** Which, when, and why. */
  failed: z.array(z.string()),
  /** What names gave that were asked for once. */
  others: z.record(z.string(), z.string()),
});
export type Asked = z.infer<typeof Asked>;

export interface AskingOptions {
  /** A process of the container. */
  readonly pid: number;
  /** Of an app as of `servingOk`. */
  readonly name: string;
  readonly perSecond: number;
  /** Each tenth time the next of these is asked for instead, once. */
  readonly others: readonly string[];
}

export function askByName({pid, name, perSecond, others}: AskingOptions): Load<Asked> {
  const resolver = /^nameserver (\S+)/m.exec(readFileSync(`/proc/${pid}/root/etc/resolv.conf`, 'utf8'))?.[1] ?? '';
  return askingProgram(Asked, [fileURLToPath(new URL('./ask.mjs', import.meta.url)), resolver, name, String(perSecond), ...others], pid);
}
