import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';

export interface RegistryOptions {
  /** Ask for these credentials (HTTP basic). */
  auth?: {username: string; password: string};
}

export interface Registry extends TestServer {
  /** `127.0.0.1:port`: what an image name starts with. Engines speak plain HTTP to it, as to all of 127.0.0.0/8. */
  readonly host: string;
  /** `http://127.0.0.1:port` */
  readonly url: string;
}

/** Starts a real image registry, empty, on a free port of 127.0.0.1. */
export async function startRegistry({auth}: RegistryOptions = {}): Promise<Registry> {
  const server = await startServer({
    name: 'registry',
    debianPackage: 'docker-registry',
    command: 'docker-registry',
    args: ({port, dir}) => {
      const config = {
        version: 0.1,
        log: {level: 'warn'},
        storage: {filesystem: {rootdirectory: join(dir, 'data')}, delete: {enabled: true}},
        http: {addr: `127.0.0.1:${port}`, secret: randomBytes(16).toString('hex')},
        ...(auth && {auth: {htpasswd: {realm: 'test', path: join(dir, 'htpasswd')}}}),
      };
      if (auth) writeFileSync(join(dir, 'htpasswd'), `${auth.username}:${bcrypt(auth.password)}\n`, {mode: 0o600});
      // JSON is YAML.
      writeFileSync(join(dir, 'config.yml'), JSON.stringify(config));
      return ['serve', join(dir, 'config.yml')];
    },
    ready: async ({port}) => [200, 401].includes((await fetch(`http://127.0.0.1:${port}/v2/`)).status) || false,
  });
  const host = `127.0.0.1:${server.port}`;
  return extend(server, {host, url: `http://${host}`});
}

/** The registry takes no other hash; libcrypt, which every Debian has through perl-base, makes it. */
function bcrypt(password: string): string {
  const salt = `$2b$05$${randomBytes(16).toString('hex').slice(0, 22)}`;
  const {stdout} = spawnSync('perl', ['-e', 'print crypt(<STDIN>, $ARGV[0])', salt], {input: password, encoding: 'utf8'});
  if (!stdout?.startsWith('$2b$')) throw new Error('cannot hash a password with bcrypt: perl with libcrypt is wanted');
  return stdout;
}
