import {existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {FakeClock} from '@hivemind/controller/testing';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {Fence} from './fence.ts';

const quiet = {info: () => undefined, warn: () => undefined};
const labels = {'hivemind.container': 'db-1', 'hivemind.origin': JSON.stringify({container: {template: {singleton: true, fencing: {lease: '10s'}, stop: {grace: '2s'}}}})};

describe('the keeper of the fence', () => {
  let dir: string;
  let clock: FakeClock;
  let bootId: string;
  let asleepMs: number;
  let running: {id: string; labels: Record<string, string>}[];
  let signals: string[];
  let looks: number;
  let broken: boolean;
  let fence: Fence;

  const now = () => ({bootId, ms: 1_000_000 + clock.monotonic() + asleepMs});
  const launch = async () => {
    fence = new Fence({
      file: join(dir, 'fence.json'), boottime: now, logger: quiet,
      setTimer: (callback, ms) => clock.setTimer(callback, ms),
      connectEngine: () => ({
        async running() {
          looks += 1;
          if (broken) throw new Error('away');
          return running;
        },
        async signal(id, signal) {
          signals.push(signal);
          if (signal === 'SIGKILL') running = running.filter((one) => one.id !== id);
        },
      }),
    });
    await fence.start();
  };
  const heard = () => fence.renew({cluster: 'c', engine: '/docker.sock', bootId, heardAtMs: now().ms});
  const alive = () => fence.renew({cluster: 'c', engine: '/docker.sock', bootId, heardAtMs: 0});
  /** In steps, with time between for what a look asks for. */
  const pass = async (ms: number, each: () => void = () => undefined) => {
    for (let at = 0; at < ms; at += 500) {
      await clock.advance(500);
      each();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  beforeEach(async () => {
    dir = tempDir('fence');
    [clock, bootId, asleepMs, signals, looks, broken] = [new FakeClock(), 'boot-1', 0, [], 0, false];
    running = [{id: 'c1', labels}, {id: 'c2', labels: {}}];
    await launch();
  });
  afterEach(async () => {
    await fence.stop();
    await removeTempDir(dir);
  });

  it('asks the engine nothing while the lease is renewed', async () => {
    await pass(30_000, heard);
    expect({signals, looks}).toEqual({signals: [], looks: 0});
  });

  it('with a dead agent: the polite word when the lease lapses, SIGKILL after the grace, and nothing after that', async () => {
    heard();
    await pass(9_500);
    expect(signals).toEqual([]);
    await pass(1_000);
    expect(signals).toEqual(['SIGTERM']);
    await pass(2_000);
    expect(signals).toEqual(['SIGTERM', 'SIGKILL']);
    await pass(10_000);
    expect(signals).toHaveLength(2);
    expect(running).toEqual([{id: 'c2', labels: {}}]);
  });

  it('with an agent that lives and is not heard: SIGKILL alone, when the agent has not stopped it', async () => {
    heard();
    await pass(13_000, alive);
    expect(signals).toEqual(['SIGKILL']);
  });

  it('an agent that is back in time saves it; one that is back late meets it stopped, and may start it again', async () => {
    heard();
    await pass(9_000);
    heard();
    await pass(9_000);
    expect(signals).toEqual([]);
    await pass(5_000);
    running = [{id: 'c3', labels}];
    signals = [];
    heard();
    await pass(9_000);
    expect(signals).toEqual([]);
  });

  it('an older heartbeat, one of another start of the machine, and one from the future move nothing', async () => {
    heard();
    const at = now().ms;
    await pass(5_000);
    for (const [boot, heardAtMs] of [['boot-1', at - 1_000], ['boot-0', now().ms], ['boot-1', now().ms + 60_000]] as const) fence.renew({cluster: 'c', engine: '/docker.sock', bootId: boot, heardAtMs});
    expect(fence.silentMs()).toBe(5_000);
  });

  it('counts the time that the machine slept', async () => {
    heard();
    await pass(1_000);
    asleepMs = 60_000;
    await pass(1_000);
    expect(signals).toEqual(['SIGKILL']);
  });

  it('a sidecar that is started again counts on, from a file for its owner alone', async () => {
    heard();
    await pass(3_000);
    await fence.stop();
    expect(statSync(join(dir, 'fence.json')).mode & 0o777).toBe(0o600);
    await launch();
    expect(fence.silentMs()).toBe(3_000);
    await pass(10_000);
    expect(signals).toEqual(['SIGTERM', 'SIGKILL']);
  });

  it('a sidecar that took long to start asks a living agent first', async () => {
    heard();
    await fence.stop();
    await clock.advance(20_000);
    await launch();
    await pass(500);
    heard();
    await pass(5_000, heard);
    expect(signals).toEqual([]);
  });

  it('on a full disk, the lease that is outdated makes room for the newer one', async () => {
    heard();
    await waitFor(() => existsSync(join(dir, 'fence.json')), {what: 'the lease to be written'});
    await pass(1_000);
    symlinkSync('/dev/full', join(dir, 'fence.json.new'));
    heard();
    const {ms} = now();
    await fence.stop();
    expect(JSON.parse(readFileSync(join(dir, 'fence.json'), 'utf8'))).toMatchObject({heardAtMs: ms});
  });

  it('where it cannot be written, none is left: a sidecar that is started again would stop what is heard', async () => {
    heard();
    await waitFor(() => existsSync(join(dir, 'fence.json')), {what: 'the lease to be written'});
    await pass(1_000);
    mkdirSync(join(dir, 'fence.json.new'));
    heard();
    await fence.stop();
    expect(existsSync(join(dir, 'fence.json'))).toBe(false);
  });

  it('a machine that was started anew has no lease, and a file that cannot be read is none', async () => {
    heard();
    await fence.stop();
    bootId = 'boot-2';
    await launch();
    expect(fence.silentMs()).toBeUndefined();
    await fence.stop();
    writeFileSync(join(dir, 'fence.json'), readFileSync(join(dir, 'fence.json'), 'utf8').slice(0, 20));
    await launch();
    await pass(20_000);
    expect({silentMs: fence.silentMs(), signals}).toEqual({silentMs: undefined, signals: []});
  });

  it('asks again and again an engine that does not answer', async () => {
    heard();
    broken = true;
    await pass(14_000);
    expect(signals).toEqual([]);
    broken = false;
    await pass(1_000);
    await waitFor(() => signals.includes('SIGKILL'), {what: 'the container to be killed'});
  });
});
