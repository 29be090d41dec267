import {Agent, request} from 'node:http';
import {existsSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';

const root = resolve(import.meta.dirname, '../../..');

export interface HivemindOptions {
  /** `unix://...` of the engine; the machine's when absent. */
  dockerHost?: string;
  /** Left in place by `stop`; when absent a fresh one, which `stop` removes. */
  dataDir?: string;
  /** Further words for `hivemind up`. */
  args?: string[];
}

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
}

export interface HivemindProcess extends TestServer {
  readonly dataDir: string;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly token: string;
  /** A request to `/api/v1` + path with the admin token. Rejects when nobody answers. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** `hivemind up` from source as a process of its own, ready to be used, killed and started again. */
export async function startHivemind(options: HivemindOptions = {}): Promise<HivemindProcess> {
  const dataDirIn = (dir: string): string => options.dataDir ?? join(dir, 'data');
  const server = await startServer({
    name: 'hivemind',
    debianPackage: 'none: it is this repository',
    command: process.execPath,
    args: ({port, dir}) => [
      join(root, 'apps/cli/src/main.ts'), 'up', '--data-dir', dataDirIn(dir), '--listen', `127.0.0.1:${port}`,
      ...(options.dockerHost === undefined ? [] : ['--docker-host', options.dockerHost]),
      ...(options.args ?? []),
    ],
    // Jest's flags are not for a child.
    env: {NODE_OPTIONS: ''},
    ready: async ({port}) => {
      const {status, body} = await send(port, 'GET', '/readyz', undefined, {});
      if (status !== 200) throw new Error(`/readyz answers ${status}: ${JSON.stringify(body)}`);
    },
    deadlineMs: 60_000,
  });
  const dataDir = dataDirIn(server.dir);
  const tokenFile = join(dataDir, 'admin.token');
  const token = (): string => (existsSync(tokenFile) ? readFileSync(tokenFile, 'utf8').trim() : '');
  return extend(server, {
    dataDir,
    url: `http://127.0.0.1:${server.port}`,
    get token() {
      return token();
    },
    call: (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      send(server.port, method, `/api/v1${path}`, body, {authorization: `Bearer ${token()}`, ...headers}),
  });
}

function send(port: number, method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const agent = new Agent({keepAlive: false});
    const length = text === undefined ? {} : {'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text))};
    const outgoing = request({host: '127.0.0.1', port, method, path, agent, headers: {...length, ...headers}, timeout: 30_000}, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => resolve({status: incoming.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString())}));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path} was not answered within 30 s`)));
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
