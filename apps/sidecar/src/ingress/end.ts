/** For a machine that is to take no requests any more: also where no sidecar is left that would end HAProxy. */
import {existsSync} from 'node:fs';
import {readFile, rename, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import {NOTHING, PLAN_FILE, planText, readPlan} from '@hivemind/discovery/ingress';
import {ProxyProcess} from './proxy-process.ts';

/** ms that connections have to end by themselves. */
const WITHIN_MS = 2_000;
const POLL_MS = 20;

/** Ends HAProxy of this data dir, and has the sidecar, should one run, not start it again. Nothing where there is none. */
export async function endIngress(dataDir: string): Promise<void> {
  const file = join(resolve(dataDir), PLAN_FILE);
  if (!existsSync(file)) return;
  const plan = readPlan(await readFile(file, 'utf8').catch(() => ''));
  await writeFile(`${file}.new`, planText({...NOTHING, version: plan?.version ?? ''}), {mode: 0o600});
  await rename(`${file}.new`, file);
  const proxy = new ProxyProcess(join(resolve(dataDir), 'sidecar', 'ingress'));
  proxy.signal('SIGTERM');
  for (let waited = 0; proxy.pid() !== undefined && waited < WITHIN_MS; waited += POLL_MS) await new Promise<void>((resolveSoon) => void setTimeout(resolveSoon, POLL_MS));
  proxy.signal('SIGKILL');
  await proxy.clear();
}
