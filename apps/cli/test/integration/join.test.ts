/** Another machine in two commands, as processes: `hivemind node join-token`, and `hivemind agent` with what it prints. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {resolve} from 'node:path';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {hivemind} from '../command.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** In the foreground of its own process, which ends with this one; resolves when it has printed `ready`. */
async function foreground(words: string, ready: RegExp): Promise<ChildProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, main, ...words.split(' ')], {env: {...process.env, NODE_OPTIONS: '', HIVEMIND_LOG_LEVEL: 'warn'}, stdio: ['ignore', 'pipe', 'pipe']});
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  await waitFor(() => ready.test(printed) || child.exitCode !== null, {what: `hivemind ${words} to say ${ready}`, deadlineMs: 60_000});
  if (child.exitCode !== null) throw new Error(`hivemind ${words} ended with ${child.exitCode}:\n${printed}`);
  return child;
}

async function end(child: ChildProcess | undefined): Promise<number | null> {
  if (!child || child.exitCode !== null) return child?.exitCode ?? null;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
  return child.exitCode;
}

describe('another machine', () => {
  let dir: string;
  let up: ChildProcess;
  let agent: ChildProcess | undefined;
  let server: string;

  beforeAll(async () => {
    dir = tempDir('join');
    const [port, busPort] = await Promise.all([freePort(), freePort()]);
    server = `http://127.0.0.1:${port}`;
    up = await foreground(`up --data-dir ${dir}/control --listen 127.0.0.1:${port} --advertise 127.0.0.1 --bus-port ${busPort} --no-agent`, /listens at/);
  }, 90_000);
  afterAll(async () => {
    await end(agent);
    await end(up);
    await removeTempDir(dir);
  });

  const control = (words: string) => hivemind(`${words} --server ${server} --data-dir ${dir}/control`);
  const nodes = async (): Promise<{name: string; labels: Record<string, string>; status: {phase: string; session: number}}[]> => JSON.parse((await control('node ls -o json')).out);
  const becomes = (phase: string, session: number) =>
    waitFor(async () => {
      const [node] = await nodes();
      return node?.status.phase === phase && node.status.session >= session ? node : undefined;
    }, {what: `the node to be ${phase}`, deadlineMs: 30_000});

  it('is in by the command that the first one prints', async () => {
    const {status, out, err} = await control('node join-token --label zone=b --ttl 10m');
    expect(status).toBe(0);
    expect(err).toContain('this machine only');
    const command = /hivemind (agent --join \S+ --token hm1\.\S+)/.exec(out)?.[1];
    expect(command).toContain(server);
    agent = await foreground(`${command} --name second --data-dir ${dir}/second --docker-host unix://${dir}/none.sock`, /This machine is node second/);
    expect(await becomes('ready', 1)).toMatchObject({name: 'second', labels: {zone: 'b'}});
    expect((await control('node join-token --list')).out).toMatch(/1 of 1 .*second/);
  }, 90_000);

  it('is the same one at its next start, without the token', async () => {
    expect(await end(agent)).toBe(0);
    agent = await foreground(`agent --data-dir ${dir}/second --docker-host unix://${dir}/none.sock`, /This machine is node second/);
    expect(await becomes('ready', 2)).toMatchObject({name: 'second'});
  }, 90_000);

  it('is told why it may not', async () => {
    const token = async (): Promise<string> => JSON.parse((await control('node join-token -o json')).out).token;
    const attempt = (words: string, data: string) => hivemind(`agent ${words} --data-dir ${dir}/${data}`);
    expect(await attempt('', 'third')).toMatchObject({status: 1, err: expect.stringContaining('hivemind node join-token')});
    expect(await attempt(`--join ${server} --token ${await token()} --name second`, 'third')).toMatchObject({status: 1, err: expect.stringContaining('There is a node second')});
    expect(await attempt(`--join http://192.0.2.1:4483 --token ${await token()}`, 'third')).toMatchObject({status: 1, err: expect.stringContaining('https://192.0.2.1:4483')});
    const given = await token();
    expect((await control(`node join-token --revoke ${given.split('.')[1]}`)).out).toContain('is void');
    expect(await attempt(`--join ${server} --token ${given} --name third`, 'third')).toMatchObject({status: 1, err: expect.stringContaining('not made here, or was deleted')});
  });

  it('ends, with a status of its own, when it is removed, and at every start after that', async () => {
    const removed = agent && once(agent, 'exit');
    let said = '';
    agent?.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitFor(async () => (await control('node rm second')).status === 0, {what: 'the node to be removed'});
    expect(await removed).toEqual([3, null]);
    expect(said).toContain('hivemind node join-token');
    expect(said).toContain(`hivemind down --data-dir ${dir}/second`);
    // Once, not at every try.
    expect(said.match(/was removed from the cluster, and its agent ends/g)).toHaveLength(1);
    expect(await hivemind(`agent --data-dir ${dir}/second --docker-host unix://${dir}/none.sock`)).toMatchObject({status: 3, err: expect.stringContaining('hivemind node join-token')});
  }, 90_000);
});
