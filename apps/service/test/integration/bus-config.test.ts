/** `hivemind bus config`, with real servers: two of one bus, which take whoever is of their cluster and nobody else. */
import {spawn, spawnSync, type ChildProcess} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, readFileSync, statSync} from 'node:fs';
import {connect as connectTcp} from 'node:net';
import {join, resolve} from 'node:path';
import {connect as connectTls} from 'node:tls';
import {emit, listen, pushAccount, type Bus} from '@hivemind/bus';
import {collections} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {collection, openRedisStore, openSqliteStore} from '@hivemind/store';
import {freePort, removeTempDir, startRedis, tempDir, waitFor, type RedisServer} from '@hivemind/testkit';
import {clusterKeyFile, issueCertificate, openClusterKey, openClusterTrust, writeBusServer, type BusCredentials, type ClusterTrust} from '@hivemind/trust';
import {createNodeKey} from '@hivemind/trust/testing';
import {connect, jwtAuthenticator} from 'nats';
import {pino} from 'pino';
import {openShared} from '../../src/index.ts';

const dir = tempDir('bus');
const logger = pino({level: 'silent'});
let redis: RedisServer;
let ports: {readonly a: number; readonly b: number; readonly betweenA: number; readonly betweenB: number};
let trust: ClusterTrust;
const servers: {readonly child: ChildProcess; said: string}[] = [];
const buses: Bus[] = [];
let here: Bus;
let there: Bus;

const main = resolve(import.meta.dirname, '../../../cli/src/main.ts');
/** `words` are split at spaces. */
function hivemind(words: string): {readonly status: number | null; readonly out: string; readonly err: string} {
  const {status, stdout: out, stderr: err} = spawnSync(process.execPath, [main, ...words.split(' ')], {encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}});
  return {status, out, err};
}
const config = (name: string, words: string) => hivemind(`bus config ${join(dir, name)} --store ${redis.url} --data-dir ${join(dir, 'control')} --advertise 127.0.0.1 ${words}`);
const configureA = () => config('a', `--listen 0.0.0.0:${ports.a} --cluster-listen 127.0.0.1:${ports.betweenA} --route 127.0.0.1:${ports.betweenB}`);

/** A nats-server on a file, as a machine's init would start it. It ends with this process. */
function startServer(file: string): {readonly child: ChildProcess; said: string} {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nats-server', '-c', file], {stdio: ['ignore', 'ignore', 'pipe']});
  const server = {child, said: ''};
  child.stderr.on('data', (chunk: Buffer) => (server.said += chunk.toString()));
  servers.push(server);
  return server;
}

async function endServer({child}: {readonly child: ChildProcess}): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

const greets = (port: number) => waitFor(() => new Promise((resolve) => {
  const socket = connectTcp({host: '127.0.0.1', port}, () => void socket.once('data', () => resolve(socket.destroy())));
  socket.once('error', () => resolve(undefined));
}), {what: `a server on ${port}`});

async function openTrust(dataDir: string): Promise<ClusterTrust> {
  const store = await openRedisStore({url: redis.url});
  try {
    const {id} = (await collection(collections.clusterIdentity).in(store).get('cluster'))!.value;
    return await openClusterTrust({store, cluster: id, now: Date.now(), clusterKey: await openClusterKey(clusterKeyFile(dataDir, {}), async () => true)});
  } finally {
    await store.close();
  }
}

/** As a service that is given the same store, key and bus. */
async function service(name: string, port: number): Promise<Bus> {
  const shared = await openShared(name, {bus: `tls://127.0.0.1:${port}`, store: redis.url, dataDir: join(dir, 'control'), logger});
  buses.push({...shared.context.bus, close: () => shared.close()});
  return shared.context.bus;
}

/** The library takes a server that is known by its address for localhost; our driver does not. */
const trusting = (ca: string) => ({tls: {ca, ...{checkServerIdentity: () => undefined}}});
const raw = (port: number, {jwt, seed}: BusCredentials, ca = trust.authority.certificate) =>
  connect({servers: `127.0.0.1:${port}`, reconnect: false, authenticator: jwtAuthenticator(jwt, Buffer.from(seed)), ...trusting(ca)});

beforeAll(async () => {
  redis = await startRedis();
  const [a, b, betweenA, betweenB] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  ports = {a, b, betweenA, betweenB};
  expect(configureA().err).toBe('');
  expect(config('b', `--listen 127.0.0.1:${b} --cluster-listen 127.0.0.1:${betweenB} --route 127.0.0.1:${betweenA}`).status).toBe(0);
  startServer(join(dir, 'a/nats.conf'));
  startServer(join(dir, 'b/nats.conf'));
  await Promise.all([greets(a), greets(b)]);
  trust = await openTrust(join(dir, 'control'));
}, 60_000);
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await Promise.all(servers.map(endServer));
  await redis?.stop();
  await removeTempDir(dir);
});

it('writes files for their owner alone, and says how they are used', async () => {
  const {status, out} = configureA();
  expect([status, out]).toEqual([0, expect.stringContaining(`nats-server -c ${join(dir, 'a/nats.conf')}`)]);
  expect(out).toContain(`--bus tls://127.0.0.1:${ports.a}`);
  expect(['nats.conf', 'nats.crt', 'nats.key', 'ca.crt'].map((file) => statSync(join(dir, 'a', file)).mode & 0o777)).toEqual([0o600, 0o600, 0o600, 0o600]);
});

/** What one says arrives at the other. It is said again until the servers, and who speaks through them, have met. */
async function carries(from: Bus, to: Bus): Promise<void> {
  let heard = 0;
  const subscription = await listen(to, subjects.assignmentChanged, {node: 'n'}, ({version}) => void (heard = version));
  await waitFor(async () => {
    await emit(from, subjects.assignmentChanged, {node: 'n'}, {version: 7});
    return heard === 7;
  }, {what: 'the message', deadlineMs: 20_000});
  await subscription.unsubscribe();
}

it('carries what one service says at one server to another at the other', async () => {
  [here, there] = [await service('here', ports.a), await service('there', ports.b)];
  await carries(here, there);
});

it('refuses who is not of the cluster, and lets a machine hear nothing of another', async () => {
  const stranger = await openStranger();
  const request = {name: 'app', now: Date.now()};
  await expect(connect({servers: `127.0.0.1:${ports.a}`, reconnect: false})).rejects.toThrow();
  await expect(connect({servers: `127.0.0.1:${ports.a}`, reconnect: false, ...trusting(trust.authority.certificate)})).rejects.toThrow(/authorization/i);
  await expect(raw(ports.a, stranger.bus.serviceCredentials(request))).rejects.toThrow(/authorization/i);
  await expect(raw(ports.a, trust.bus.serviceCredentials(request), stranger.authority.certificate)).rejects.toThrow(/certificate/i);
  const key = createNodeKey();
  const machine = await raw(ports.a, {jwt: trust.bus.nodeJwt({...request, name: 'n1', nkey: key.nkey}).jwt, seed: key.seed});
  const refused = Promise.withResolvers<string>();
  machine.subscribe('hivemind.msg.assignment.n2.*', {callback: (error) => refused.resolve(error?.message ?? 'it heard something')});
  expect(await refused.promise).toMatch(/permissions violation/i);
  await machine.close();
});

it('lets no server into the bus that the cluster\'s authority does not vouch for', async () => {
  const {authority, bus} = await openStranger();
  const tls = {...(await issueCertificate(authority, {name: 'nats', addresses: ['127.0.0.1'], now: Date.now()})), ca: trust.authority.certificate};
  const port = await freePort();
  mkdirSync(join(dir, 'rogue'));
  // It knows everything that is not secret, and has a certificate of an authority of its own.
  await writeBusServer({dir: join(dir, 'rogue'), trust: bus, listen: `127.0.0.1:${port}`, tls, peers: {name: /name: "(hivemind-\S+)"/.exec(readFileSync(join(dir, 'a/nats.conf'), 'utf8'))![1]!, listen: `127.0.0.1:${await freePort()}`, routes: [`127.0.0.1:${ports.betweenA}`]}});
  const rogue = startServer(join(dir, 'rogue/nats.conf'));
  await waitFor(() => /TLS route handshake error[^]*Router connection closed: TLS Handshake Failure/.test(servers[0]!.said), {what: 'the handshake to fail'});
  await endServer(rogue);
});

it('takes a new certificate over when it is told to reload, and whoever was connected is so again', async () => {
  const [before, shown] = [readFileSync(join(dir, 'a/nats.conf'), 'utf8'), await shownBy(ports.a)];
  configureA();
  expect(readFileSync(join(dir, 'a/nats.conf'), 'utf8')).toBe(before);
  expect(fingerprint()).not.toBe(shown);
  servers[0]!.child.kill('SIGHUP');
  await waitFor(async () => (await shownBy(ports.a)) === fingerprint(), {what: 'the new certificate'});
  await carries(there, here);
});

it('keeps who is out, out, when it is started anew', async () => {
  const key = createNodeKey();
  const now = Date.now();
  const credentials = {jwt: trust.bus.nodeJwt({name: 'gone', nkey: key.nkey, now}).jwt, seed: key.seed};
  await (await raw(ports.a, credentials)).close();
  const second = Math.floor(now / 1000);
  await pushAccount({servers: `127.0.0.1:${ports.a}`, credentials: trust.bus.systemCredentials({name: 'push', now}), jwt: trust.bus.accountJwt({[key.nkey]: second}, second), tls: {ca: trust.authority.certificate}});
  await endServer(servers[0]!);
  servers[0] = startServer(join(dir, 'a/nats.conf'));
  await greets(ports.a);
  await expect(raw(ports.a, credentials)).rejects.toThrow(/authorization/i);
  await (await raw(ports.a, trust.bus.serviceCredentials({name: 'app', now}))).close();
});

it('makes nothing up where the cluster has a key that is not here', () => {
  const wrong = join(dir, 'wrong');
  expect(hivemind(`bus config ${wrong} --store ${redis.url} --data-dir ${wrong} --advertise 127.0.0.1`)).toMatchObject({status: 1, err: expect.stringContaining('cluster.key')});
  expect(() => statSync(join(wrong, 'nats.conf'))).toThrow();
});

const fingerprint = () => new X509Certificate(readFileSync(join(dir, 'a/nats.crt'))).fingerprint256;

/** Of the certificate that a server shows. */
function shownBy(port: number): Promise<string> {
  return new Promise((shown, failed) => {
    // It greets in the clear, and goes on in TLS.
    const plain = connectTcp({host: '127.0.0.1', port}, () => void plain.once('data', () => {
      const secure = connectTls({socket: plain, ca: trust.authority.certificate, checkServerIdentity: () => undefined}, () => {
        shown(secure.getPeerCertificate().fingerprint256);
        secure.destroy();
      });
      secure.once('error', failed);
    }));
    plain.once('error', failed);
  });
}

/** Another cluster, with all that one has. */
async function openStranger(): Promise<ClusterTrust> {
  const store = await openSqliteStore({path: ':memory:'});
  try {
    return await openClusterTrust({store, cluster: 'stranger', clusterKey: Buffer.alloc(32, 1), now: Date.now()});
  } finally {
    await store.close();
  }
}
