import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {readFileSync, statSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {type SidecarProcess, Sidecars} from '../sidecars.ts';

const main = resolve(import.meta.dirname, '../../../cli/src/main.ts');
/** A tool, as people run it. */
const tool = (...words: string[]) => spawnSync(process.execPath, [main, 'membership', ...words], {encoding: 'utf8', env: {...process.env, NODE_OPTIONS: ''}});

describe('a ring of sidecars', () => {
  let dir: string;
  let sidecars: Sidecars;
  let keyFile: string;

  beforeEach(() => {
    dir = tempDir('ring');
    sidecars = new Sidecars(dir);
    keyFile = join(dir, 'ring.key');
    writeFileSync(keyFile, `# the ring's key\n${randomBytes(32).toString('base64')}\n`, {mode: 0o600});
  });
  afterEach(async () => {
    await sidecars[Symbol.asyncDispose]();
    await removeTempDir(dir);
  });

  const sees = (sidecar: SidecarProcess, ring: Readonly<Record<string, string>>) => waitFor(async () => {
    expect(await sidecar.ring()).toEqual(ring);
    return true;
  }, {what: `${sidecar.name} to see ${JSON.stringify(ring)}`, deadlineMs: 20_000});

  it('sees one that is killed as dead and one that is stopped as left; one that comes back is alive', async () => {
    const a = await sidecars.start('a', ['--key-file', keyFile, '--zone', 'z1', '--tag', 'disk=ssd']);
    const b = await sidecars.start('b', ['--key-file', keyFile]);
    const c = await sidecars.start('c', ['--key-file', keyFile]);
    for (const one of [a, b, c]) await sees(one, {a: 'alive', b: 'alive', c: 'alive'});
    expect(statSync(a.socket).mode & 0o777).toBe(0o600);

    const watching = new AbortController();
    const changes: string[] = [];
    const watched = (async () => {
      for await (const {whole, change, member} of b.client.watch(watching.signal)) changes.push(whole ? `whole ${whole.members.length}` : `${member?.name} ${change}`);
    })();
    await waitFor(() => changes.includes('whole 3'), {what: 'the whole, first of all'});
    expect(await c.end('SIGKILL')).toBe('SIGKILL');
    for (const one of [a, b]) await sees(one, {a: 'alive', b: 'alive', c: 'dead'});
    await waitFor(() => changes.includes('c died'), {what: 'the death to be watched'});
    watching.abort();
    await watched;

    const listed = tool('ls', '--socket', b.socket, '-o', 'json');
    expect(listed.status).toBe(0);
    expect(JSON.parse(listed.stdout)).toMatchObject([{name: 'a', state: 'alive', address: a.address, zone: 'z1', tags: {disk: 'ssd'}}, {name: 'b'}, {name: 'c', state: 'dead'}]);

    const again = await sidecars.start('c', ['--key-file', keyFile]);
    for (const one of [a, b, again]) await sees(one, {a: 'alive', b: 'alive', c: 'alive'});
    expect(await again.end('SIGTERM')).toBe(0);
    for (const one of [a, b]) await sees(one, {a: 'alive', b: 'alive', c: 'left'});
  }, 90_000);

  it('changes its keys while it runs, and what has not the new one is no longer heard', async () => {
    const [a, b] = [await sidecars.start('a', ['--key-file', keyFile]), await sidecars.start('b', ['--key-file', copy('b')])];
    await sees(a, {a: 'alive', b: 'alive'});
    const [old = ''] = await a.client.keys();
    const fresh = join(dir, 'new.key');
    writeFileSync(fresh, randomBytes(32).toString('base64'), {mode: 0o600});
    for (const {socket} of [a, b]) expect(tool('keys', 'install', fresh, '--socket', socket)).toMatchObject({status: 0});
    const [, now = ''] = await a.client.keys();
    expect(tool('keys', 'rm', old, '--socket', a.socket)).toMatchObject({status: 1, stderr: expect.stringContaining('use another one first')});
    for (const {socket} of [a, b]) expect(tool('keys', 'use', now, '--socket', socket)).toMatchObject({status: 0});
    for (const {socket} of [a, b]) expect(tool('keys', 'rm', old, '--socket', socket).status).toBe(0);
    expect(await b.client.keys()).toEqual([now]);
    // A restart knows them: the file was kept in step, and is its owner's alone.
    expect(readFileSync(keyFile, 'utf8').trim()).toBe(readFileSync(fresh, 'utf8').trim());
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const before = (await b.client.statistics()).probes;
    await waitFor(async () => (await b.client.statistics()).probes > before + 3, {what: 'probes with the new key'});
    expect(await b.ring()).toEqual({a: 'alive', b: 'alive'});

    const stranger = join(dir, 'stranger.key');
    writeFileSync(stranger, randomBytes(32).toString('base64'), {mode: 0o600});
    const x = await sidecars.start('x', ['--key-file', stranger]);
    await waitFor(async () => x.output().includes('could not be joined'), {what: 'the stranger to be refused'});
    expect([await a.ring(), await x.ring()]).toEqual([{a: 'alive', b: 'alive'}, {x: 'alive'}]);
  }, 90_000);

  it('is left by a tool, and the process ends', async () => {
    const [a, b] = [await sidecars.start('a'), await sidecars.start('b')];
    await sees(a, {a: 'alive', b: 'alive'});
    expect(tool('leave', '--socket', b.socket)).toMatchObject({status: 0, stdout: 'left the ring\n'});
    expect(await b.ended()).toBe(0);
    await sees(a, {a: 'alive', b: 'left'});
    expect(tool('keys', 'ls', '--socket', a.socket)).toMatchObject({status: 1, stderr: expect.stringContaining('--key-file')});
    expect(tool('leader', '--socket', a.socket, '-o', 'json')).toMatchObject({status: 0});
  }, 60_000);

  it('takes over the socket of a dead process, and refuses that of a living one and anything else by name', async () => {
    const a = await sidecars.start('a');
    const second = tool('--name', 'a2', '--bind', '127.0.0.1:0', '--socket', a.socket, '--data-dir', dir);
    expect(second).toMatchObject({status: 1, stderr: expect.stringContaining(`A process serves ${a.socket}`)});
    const taken = tool('--name', 'a2', '--bind', a.address, '--socket', join(dir, 'a2.sock'), '--data-dir', dir);
    expect(taken).toMatchObject({status: 1, stderr: expect.stringContaining(`${a.address} is in use`)});
    expect(tool('--name', 'a2', '--bind', '127.0.0.1:0', '--socket', keyFile, '--data-dir', dir)).toMatchObject({status: 2, stderr: expect.stringContaining('--socket')});
    await a.end('SIGKILL');
    expect(statSync(a.socket).isSocket()).toBe(true);
    const again = await sidecars.start('a');
    await sees(again, {a: 'alive'});
  }, 60_000);

  it('serves liveness and metrics', async () => {
    const a = await sidecars.start('a');
    const {metricsAddress} = await a.client.statistics();
    const get = async (path: string, method = 'GET') => {
      const answer = await fetch(`http://${metricsAddress}${path}`, {method});
      return {status: answer.status, text: await answer.text()};
    };
    expect(await get('/livez')).toEqual({status: 200, text: 'ok\n'});
    expect((await get('/metrics')).text).toContain('hivemind_membership_members{state="alive"} 1\n');
    expect([(await get('/nothing')).status, (await get('/metrics', 'POST')).status]).toEqual([404, 405]);
  });

  function copy(name: string): string {
    const file = join(dir, `${name}.key`);
    writeFileSync(file, readFileSync(keyFile), {mode: 0o600});
    return file;
  }
});
