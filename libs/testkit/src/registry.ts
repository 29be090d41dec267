import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';

export interface RegistryOptions {
  /** Ask for these credentials (HTTP basic). */
  auth?: {username: string; password: string};
  /** Speak TLS with this certificate and key (PEM). */
  tls?: {certificate: string; key: string};
  /** Send for a token: where to, for whom, from whom, and the certificate (PEM) of who signs. */
  token?: {realm: string; service: string; issuer: string; certificate: string};
  /** The directory of another one: it serves the same images. */
  sharing?: string;
}

export interface Registry extends TestServer {
  /** `127.0.0.1:port`: what an image name starts with. Engines speak plain HTTP to it, as to all of 127.0.0.0/8. */
  readonly host: string;
  /** `http://127.0.0.1:port`, or `https://` of it. */
  readonly url: string;
}

/** Starts a real image registry, empty, on a free port of 127.0.0.1. */
export async function startRegistry({auth, tls, token, sharing}: RegistryOptions = {}): Promise<Registry> {
  const server = await startServer({
    name: 'registry',
    debianPackage: 'docker-registry',
    command: 'docker-registry',
    args: ({port, dir}) => {
      const config = {
        version: 0.1,
        log: {level: 'warn'},
        storage: {filesystem: {rootdirectory: join(sharing ?? dir, 'data')}, delete: {enabled: true}},
        http: {addr: `127.0.0.1:${port}`, secret: randomBytes(16).toString('hex'), ...(tls && {tls: {certificate: join(dir, 'tls.crt'), key: join(dir, 'tls.key')}})},
        ...(auth && {auth: {htpasswd: {realm: 'test', path: join(dir, 'htpasswd')}}}),
        ...(token && {auth: {token: {realm: token.realm, service: token.service, issuer: token.issuer, rootcertbundle: join(dir, 'token.crt')}}}),
      };
      if (auth) writeFileSync(join(dir, 'htpasswd'), `${auth.username}:${bcrypt(auth.password)}\n`, {mode: 0o600});
      if (tls) writeFileSync(join(dir, 'tls.crt'), tls.certificate);
      if (tls) writeFileSync(join(dir, 'tls.key'), tls.key, {mode: 0o600});
      if (token) writeFileSync(join(dir, 'token.crt'), token.certificate);
      // JSON is YAML.
      writeFileSync(join(dir, 'config.yml'), JSON.stringify(config));
      return ['serve', join(dir, 'config.yml')];
    },
    ready: async ({port}) => (tls ? connects(port) : [200, 401].includes((await fetch(`http://127.0.0.1:${port}/v2/`)).status) || false),
  });
  const host = `127.0.0.1:${server.port}`;
  return extend(server, {host, url: `${tls ? 'https' : 'http'}://${host}`});
}

function connects(port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', reject);
  });
}

/** The registry takes no other hash; libcrypt, which every Debian has through perl-base, makes it. */
function bcrypt(password: string): string {
  const salt = `$2b$05$${randomBytes(16).toString('hex').slice(0, 22)}`;
  const {stdout} = spawnSync('perl', ['-e', 'print crypt(<STDIN>, $ARGV[0])', salt], {input: password, encoding: 'utf8'});
  if (!stdout?.startsWith('$2b$')) throw new Error('cannot hash a password with bcrypt: perl with libcrypt is wanted');
  return stdout;
}
