/** Names of services, asked of the machine's sidecar with `dig`: with and without the process that told it, and from disk. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {connectSidecar} from '@hivemind/sidecar/client';
import {freePort, waitFor} from '@hivemind/testkit';
import {aHivemind, containersOf, createApp, type Fixture, sleeper, untilRunning} from '../standalone.ts';

const deadlineMs = 30_000;

describe('names of services on a machine', () => {
  let fixture: Fixture;
  let port: number;
  let sidecar = 0;
  let byHand: ChildProcess | undefined;

  beforeAll(async () => {
    port = await freePort();
    fixture = await aHivemind({args: ['--advertise', '127.0.0.1', '--bus-port', String(await freePort()), '--gossip-port', String(await freePort()), '--dns-listen', `127.0.0.1:${port}`]});
  }, 90_000);
  afterAll(async () => {
    const ended = byHand === undefined || byHand.exitCode !== null ? undefined : new Promise((resolve) => byHand?.once('exit', resolve));
    byHand?.kill('SIGKILL');
    await ended;
    await fixture[Symbol.asyncDispose]();
    kill(sidecar);
  }, 90_000);

  const kill = (pid: number): void => {
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  const dig = async (...words: readonly string[]): Promise<string> => {
    const {stdout} = await promisify(execFile)('dig', ['@127.0.0.1', '-p', String(port), '+time=2', '+tries=2', ...words]).catch((error: {stdout: string}) => error);
    return stdout;
  };
  const short = async (...words: readonly string[]): Promise<readonly string[]> => (await dig('+short', ...words)).split('\n').filter((line) => line !== '' && !line.startsWith(';')).toSorted();
  const sidecarPid = async (): Promise<number> => {
    using client = connectSidecar(join(fixture.hivemind.dataDir, 'sidecar.sock'));
    return await client.describe().then(({pid}) => pid, () => 0);
  };

  it('are answered with what is ready, as it comes and goes', async () => {
    const {hivemind, image} = fixture;
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2, ports: [{name: 'http', container: 80}], service: {domain: 'web.example', headless: true}}));
    await createApp(hivemind, 'db', sleeper(image));
    await untilRunning(hivemind, 'web', 2);
    const addresses = await waitFor(async () => {
      const known = (await containersOf(hivemind, 'web')).flatMap(({status}) => status.ip || []).toSorted();
      return known.length === 2 && known;
    }, {what: 'both to have an address', deadlineMs});
    await waitFor(async () => expect(await short('web.default.svc.hive')).toEqual(addresses) ?? true, {what: 'both replicas', deadlineMs});
    expect(await short('web.example')).toEqual(addresses);
    expect(await short('+tcp', 'web.default')).toEqual(addresses);
    expect(await short('SRV', '_http._tcp.web.default.svc.hive')).toEqual((await containersOf(hivemind, 'web')).map(({name}) => `0 100 80 ${name}.web.default.svc.hive.`).toSorted());
    expect(await dig('nothing.default.svc.hive')).toMatch(/status: NXDOMAIN.*AUTHORITY: 1/s);
    expect(await dig('AAAA', 'web.default.svc.hive')).toMatch(/status: NOERROR.*ANSWER: 0.*AUTHORITY: 1/s);
    expect((await hivemind.call('PATCH', '/apps/web', {spec: {replicas: 1}})).status).toBe(200);
    await waitFor(async () => (await short('web.default.svc.hive')).length === 1, {what: 'one of them to go', deadlineMs});
  }, 60_000);

  it('are answered while nobody tells the sidecar, also those that were not asked for before', async () => {
    sidecar = await sidecarPid();
    // Half a second after the sidecar, the disk has it too.
    const onDisk = (): string => readFileSync(join(fixture.hivemind.dataDir, 'agent/names.ndjson'), 'utf8');
    await waitFor(() => onDisk().match(/"service":"web"/g)?.length === 1, {what: 'the file to know of one replica alone', deadlineMs});
    const [web] = await containersOf(fixture.hivemind, 'web');
    const [db] = await containersOf(fixture.hivemind, 'db');
    await fixture.hivemind.kill();
    expect(await sidecarPid()).toBe(sidecar);
    expect(await short('db.default.svc.hive')).toEqual([db?.status.ip]);
    expect(await short('PTR', `${(web?.status.ip ?? '').split('.').toReversed().join('.')}.in-addr.arpa`)).toEqual([`${web?.name}.web.default.svc.hive.`]);

    // Its very words, as an init would start it again: it knows the names from disk.
    const [command = '', ...words] = readFileSync(`/proc/${sidecar}/cmdline`, 'utf8').split('\0').slice(0, -1);
    kill(sidecar);
    await waitFor(async () => (await short('db.default.svc.hive')).length === 0, {what: 'the sidecar to be gone', deadlineMs});
    byHand = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...words], {env: {...process.env, NODE_OPTIONS: ''}, stdio: 'ignore'});
    await waitFor(async () => (await short('db.default.svc.hive')).length === 1, {what: 'names from disk', deadlineMs});
    expect(await short('web.example')).toEqual([web?.status.ip]);
  }, 60_000);
});
