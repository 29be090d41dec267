import {createCipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, randomBytes} from 'node:crypto';
import {readFile, stat} from 'node:fs/promises';
import {existsSync} from 'node:fs';
import {type Bus, createEmbeddedBus, serve} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {containerRecord, type template} from '../testing/builders.ts';
import {type Configuration, createConfiguration} from './hook.ts';

const never = new AbortController().signal;
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** As the security manager seals. */
function seal(theirs: string, text: string) {
  const pair = generateKeyPairSync('x25519');
  const publicKey = createPublicKey({key: Buffer.concat([SPKI_PREFIX, Buffer.from(theirs, 'base64')]), format: 'der', type: 'spki'});
  const key = Buffer.from(hkdfSync('sha256', diffieHellman({privateKey: pair.privateKey, publicKey}), Buffer.alloc(0), 'hivemind.secrets', 32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const raw = pair.publicKey.export({format: 'der', type: 'spki'}).subarray(SPKI_PREFIX.length);
  return {publicKey: raw.toString('base64'), nonce: nonce.toString('base64'), sealed: sealed.toString('base64')};
}

describe('configs and secrets of a container', () => {
  let bus: Bus;
  let dataDir: string;
  let secretsDir: string;
  let configuration: Configuration;
  let session: number | undefined;
  let configs: Record<string, Record<string, string>>;
  let secrets: Record<string, Record<string, string>>;
  let onTheWire: string[];

  beforeEach(async () => {
    bus = createEmbeddedBus();
    dataDir = tempDir('configuration');
    secretsDir = `${dataDir}/in-memory`;
    session = 1;
    configs = {site: {'index.html': base64('<h1>hello</h1>'), mode: base64('prod')}};
    secrets = {'default/db': {password: base64('hunter2'), username: base64('admin')}};
    onTheWire = [];
    const to = {node: 'n1'};
    await serve(bus, subjects.getConfigs, to, async ({configs: asked}) => ({
      configs: asked.flatMap(({namespace, name}) => (configs[name] ? [{namespace, name, data: configs[name]}] : [])),
      missing: asked.filter(({name}) => !configs[name]),
    }));
    await serve(bus, subjects.openSecrets, to, async ({publicKey, secrets: asked}) => {
      const reply = {...seal(publicKey, JSON.stringify(secrets)), missing: asked.filter(({namespace, name}) => !secrets[`${namespace}/${name}`])};
      onTheWire.push(JSON.stringify(reply));
      return reply;
    });
    configuration = createConfiguration({bus, node: 'n1', session: {current: () => session}, dataDir, secretsDir});
  });

  afterEach(async () => {
    await bus.close();
    await removeTempDir(dataDir);
  });

  const prepare = (input: Parameters<typeof template>[0]) => configuration.hook.prepare?.(containerRecord({template: input}), never);

  it('become environment values, secrets never in the clear on the bus', async () => {
    const made = await prepare({env: {PLAIN: 'x', MODE: {config: 'site', key: 'mode'}, PASSWORD: {secret: 'db', key: 'password'}}});
    expect(made?.env).toEqual({MODE: 'prod', PASSWORD: 'hunter2'});
    expect(onTheWire).toHaveLength(1);
    for (const clear of ['hunter2', base64('hunter2')]) expect(onTheWire[0]).not.toContain(clear);
  });

  it('become files of the mode that was asked for, those of secrets in the place for secrets', async () => {
    const made = await prepare({files: [{mount: '/www/index.html', config: 'site', key: 'index.html'}, {mount: '/run/password', secret: 'db', key: 'password', mode: '0400'}]});
    const [page, password] = (made?.mounts ?? []).map((mount) => (mount.type === 'bind' ? mount : undefined));
    expect(page).toMatchObject({target: '/www/index.html', readOnly: true, source: expect.stringContaining(`${dataDir}/agent/files/`)});
    expect(await readFile(page?.source ?? '', 'utf8')).toBe('<h1>hello</h1>');
    expect(password?.source).toContain(secretsDir);
    expect((await stat(password?.source ?? '')).mode & 0o777).toBe(0o400);
    expect(await readFile(password?.source ?? '', 'utf8')).toBe('hunter2');
  });

  it('are written again in place: a bind mount holds the inode', async () => {
    const files = [{mount: '/m', config: 'site', key: 'mode'}];
    const first = (await prepare({files}))?.mounts?.[0];
    const source = first?.type === 'bind' ? first.source : '';
    const {ino} = await stat(source);
    configs.site = {mode: base64('test')};
    await prepare({files});
    expect(await readFile(source, 'utf8')).toBe('test');
    expect((await stat(source)).ino).toBe(ino);
  });

  it('are gone when the container is', async () => {
    await prepare({files: [{mount: '/m', config: 'site', key: 'mode'}, {mount: '/p', secret: 'db', key: 'password'}]});
    const record = containerRecord();
    expect([dataDir + '/agent/files', secretsDir].map((dir) => existsSync(`${dir}/${record.id}`))).toEqual([true, true]);
    await configuration.hook.removed?.(record);
    expect([dataDir + '/agent/files', secretsDir].map((dir) => existsSync(`${dir}/${record.id}`))).toEqual([false, false]);
    await configuration.hook.removed?.(record);
  });

  it.each([
    ['a config that is missing', {A: {config: 'none', key: 'k'}}, 'config-not-found', 'none'],
    ['a secret that is missing', {A: {secret: 'none', key: 'k'}}, 'secret-not-found', 'none'],
    ['a key that is missing', {A: {config: 'site', key: 'nokey'}}, 'key-not-found', 'nokey'],
  ])('name %s', async (_what, env, code, name) => {
    await expect(prepare({env})).rejects.toMatchObject({code, message: expect.stringContaining(name)});
  });

  it('wait for the control plane where a secret is needed', async () => {
    session = undefined;
    await expect(prepare({env: {A: {secret: 'db', key: 'password'}}})).rejects.toMatchObject({code: 'secrets-unavailable', retryable: true});
    expect(await prepare({env: {A: 'plain'}})).toEqual({});
  });

  it('give the credentials of a pull', async () => {
    expect(await configuration.credentials(containerRecord({template: {pull: {secret: 'db'}}}), never)).toEqual({username: 'admin', password: 'hunter2'});
    expect(await configuration.credentials(containerRecord(), never)).toBeUndefined();
  });
});
