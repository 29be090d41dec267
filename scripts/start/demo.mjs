/** The demo: the Compose file, and where its pages are. */
import {readFileSync} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';
import {root} from '../setup/enter.mjs';

export const demoFile = join(root, 'deploy/demo/docker-compose.yml');

/** Where Hivemind keeps its data, and the address of its API, as `hivemind up` finds them. */
export function whereabouts(env = process.env) {
  const dataDir = env.HIVEMIND_DATA_DIR ?? join(homedir(), '.hivemind');
  const server = env.HIVEMIND_SERVER ?? 'http://127.0.0.1:4483';
  return {dataDir, server, tokenFile: join(dataDir, 'admin.token'), logFile: join(dataDir, 'hivemind.log')};
}

/** Where its pages are: one for each replica, or one that leads to all of them in turn. */
export async function pageUrls({server, dataDir}) {
  const token = process.env.HIVEMIND_TOKEN ?? readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
  const response = await fetch(`${server}/api/v1/apps/web?namespace=demo`, {headers: {authorization: `Bearer ${token}`}});
  if (!response.ok) throw new Error(`GET /apps/web answered ${response.status}: ${await response.text()}`);
  const {status} = await response.json();
  return [...new Set(status.endpoints.map(({port}) => `http://127.0.0.1:${port}/`))].sort();
}
