import {join} from 'node:path';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {type Sidecar, startSidecar} from '../../src/index.ts';
import {Sidecars} from '../sidecars.ts';

/** Much longer than a member is waited for. */
const STALL_MS = 4_000;

describe('a main thread that stands still', () => {
  let dir: string;
  let sidecars: Sidecars;
  let here: Sidecar;

  beforeEach(async () => {
    dir = tempDir('stall');
    sidecars = new Sidecars(dir);
  });
  afterEach(async () => {
    await here.stop();
    await sidecars[Symbol.asyncDispose]();
    await removeTempDir(dir);
  });

  it('delays no probe: nobody suspects the member', async () => {
    const other = await sidecars.start('other');
    const [host = '', port] = other.address.split(':');
    here = await startSidecar({name: 'here', bind: {host: '127.0.0.1', port: 0}, join: [{host, port: Number(port)}], socket: join(dir, 'here.sock'), logger: pino({level: 'silent'})});
    await waitFor(async () => (await other.ring()).here === 'alive', {what: 'the ring'});
    const before = (await other.client.statistics()).probes;
    // Not a wait for something: this thread is what stands still.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
    expect((await other.client.statistics()).probes - before).toBeGreaterThan(0);
    expect(await other.ring()).toEqual({here: 'alive', other: 'alive'});
    expect(other.output()).not.toMatch(/member (suspected|died)/);
  }, 60_000);
});
