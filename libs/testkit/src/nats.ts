import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {extend} from './extend.ts';
import {firstReply} from './redis.ts';
import {startServer, type TestServer} from './server.ts';

export interface NatsOptions {
  /** Address it listens on, such as that of a network of machines; default 127.0.0.1. */
  host?: string;
  /** Clients must present this token. */
  token?: string;
  /** Text of a nats-server configuration file (accounts, operator mode, TLS, ...), or what makes it for the server's directory. */
  config?: string | ((dir: string) => string);
  args?: string[];
}

export interface NatsServer extends TestServer {
  /** `nats://host:port` */
  readonly url: string;
}

/** Starts a real nats-server on a free port. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const {host = '127.0.0.1'} = options;
  const server = await startServer({
    name: 'nats',
    debianPackage: 'nats-server',
    command: 'nats-server',
    args: ({port, dir}) => {
      const config = join(dir, 'nats.conf');
      const {config: text = ''} = options;
      writeFileSync(config, typeof text === 'string' ? text : text(dir));
      return ['-c', config, '-a', host, '-p', `${port}`, ...(options.token ? ['--auth', options.token] : []), ...(options.args ?? [])];
    },
    ready: ({port}) => firstReply(port, '', /^INFO /, host),
  });
  return extend(server, {url: `nats://${host}:${server.port}`});
}
