import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import {join} from 'node:path';
import {startOf} from '@hivemind/container/process-mark';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {writeLease} from './fence/lease-file.ts';
import {keepOutputs, type Outputs} from './outputs.ts';

describe('the output of containers', () => {
  let dir: string;
  let containerd: Server;
  let asked: number;
  let agent: ChildProcess;
  let outputs: Outputs;
  const timers: number[] = [];
  const options = {
    logger: {info: () => undefined, warn: () => undefined},
    setTimer(callback: () => void, ms: number) {
      timers.push(ms);
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
  const lease = async () => ({cluster: 'c', engine: `containerd://${join(dir, 'containerd.sock')}`, agent: `${agent.pid}-${await startOf(agent.pid!)}`});

  beforeEach(async () => {
    dir = tempDir('outputs');
    mkdirSync(join(dir, 'sidecar'));
    asked = timers.length = 0;
    containerd = createServer((connection) => {
      asked += 1;
      connection.on('error', () => undefined).destroy();
    }).listen(join(dir, 'containerd.sock'));
    agent = spawn('sleep', ['60']);
    await Promise.all([once(containerd, 'listening'), once(agent, 'spawn')]);
  });
  afterEach(async () => {
    await outputs.stop();
    agent.kill('SIGKILL');
    await new Promise((done) => containerd.close(done));
    await removeTempDir(dir);
  });

  it('is nothing that containerd is asked for while the process of the agent lives, and is when it is gone', async () => {
    outputs = keepOutputs(options);
    await outputs.heard(await lease());
    await waitFor(() => timers.length >= 5, {what: 'some looks'});
    expect(asked).toBe(0);
    agent.kill('SIGKILL');
    await waitFor(() => asked > 0, {what: 'a question to containerd'});
    agent = spawn('sleep', ['60']);
    await once(agent, 'spawn');
    await outputs.heard(await lease());
    // A connection that was under way may still arrive.
    const looks = timers.length;
    await waitFor(() => timers.length >= looks + 3, {what: 'some more looks'});
    const before = asked;
    await waitFor(() => timers.length >= looks + 8, {what: 'even more'});
    expect(asked).toBe(before);
  });

  it('is asked for at once where the agent of the lease that was kept has gone, and never where its containers are elsewhere', async () => {
    const file = join(dir, 'sidecar/fence.json');
    await writeLease(file, {bootId: 'b', heardAtMs: 1, ...(await lease()), agent: ''});
    outputs = keepOutputs(options);
    await outputs.start(file);
    await waitFor(() => asked > 0, {what: 'a question to containerd'});
    await outputs.stop();
    outputs = keepOutputs(options);
    const before = timers.length;
    await outputs.heard({cluster: 'c', engine: '/var/run/docker.sock', agent: ''});
    expect(timers.length).toBe(before);
  });
});
