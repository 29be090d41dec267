import {connect} from 'node:net';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';

export interface RedisOptions {
  /** When the append-only file is flushed; default `always`, as production demands. */
  appendfsync?: 'always' | 'everysec' | 'no';
  appendonly?: boolean;
  /** Default `noeviction`, as production demands. */
  maxmemoryPolicy?: string;
  password?: string;
  /** Further command line words, such as `['--maxmemory', '10mb']`. */
  args?: string[];
}

export interface RedisServer extends TestServer {
  /** `redis://[:password@]127.0.0.1:port` */
  readonly url: string;
}

/** Starts a real redis-server on a free port, as durable as production asks unless told otherwise. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const {appendfsync = 'always', appendonly = true, maxmemoryPolicy = 'noeviction', password, args = []} = options;
  const server = await startServer({
    name: 'redis',
    debianPackage: 'redis-server',
    command: 'redis-server',
    args: ({port, dir}) => [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no', '--save', ''],
      ...['--appendonly', appendonly ? 'yes' : 'no', '--appendfsync', appendfsync],
      ...['--maxmemory-policy', maxmemoryPolicy, ...(password ? ['--requirepass', password] : []), ...args],
    ],
    ready: ({port}) => firstReply(port, 'PING\r\n', password ? /^-NOAUTH/ : /^\+PONG/),
  });
  const url = `redis://${password ? `:${encodeURIComponent(password)}@` : ''}127.0.0.1:${server.port}`;
  return extend(server, {url});
}

/** Resolves true when the server's first bytes match; used to see that a server speaks its protocol. */
export function firstReply(port: number, request: string, expected: RegExp, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({port, host}, () => socket.write(request));
    socket.setTimeout(1_000, () => socket.destroy(new Error('no reply within 1 s')));
    socket.once('data', (data) => {
      socket.destroy();
      resolve(expected.test(data.toString('latin1')));
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(false));
  });
}
