/** HAProxy and the process that keeps it: either may be killed, and neither takes the other with it. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {NOTHING, PLAN_FILE, planText} from '@hivemind/discovery/ingress';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {endIngress, ProxyProcess} from '../../src/ingress/index.ts';
import {Sidecars} from '../sidecars.ts';

it('a killed sidecar leaves HAProxy alone, the next one finds it and starts it when it is gone; told to end, it stays ended', async () => {
  const dir = tempDir('kept');
  const dataDir = join(dir, 'n1');
  const proxy = new ProxyProcess(join(dataDir, 'sidecar', 'ingress'));
  const port = await freePort();
  await using sidecars = new Sidecars(dir);
  try {
    mkdirSync(join(dataDir, 'agent'), {recursive: true});
    const config = ['global', '  description one', `  stats socket ${proxy.adminSocket} mode 600 level admin`, 'defaults', '  mode http', '  timeout client 5s', 'frontend http', `  bind 127.0.0.1:${port}`, '  http-request return status 200', ''].join('\n');
    writeFileSync(join(dataDir, PLAN_FILE), planText({...NOTHING, version: 'v1', config, structure: 'one', ports: [port]}));
    const answers = async (): Promise<boolean> => fetch(`http://127.0.0.1:${port}/`).then(({status}) => status === 200, () => false);

    const first = await sidecars.start('n1');
    expect(await first.client.applyIngress()).toEqual({version: 'v1', running: true, problem: ''});
    const pid = proxy.pid()!;
    await first.end('SIGKILL');
    expect(await answers()).toBe(true);

    const second = await sidecars.start('n1');
    expect(await second.client.applyIngress()).toMatchObject({running: true});
    expect(proxy.pid()).toBe(pid);
    process.kill(pid, 'SIGKILL');
    // A worker of the one that was killed may still answer.
    await waitFor(async () => ![undefined, pid].includes(proxy.pid()) && (await answers()), {what: 'another HAProxy to be there'});

    await endIngress(dataDir);
    expect(proxy.pid()).toBeUndefined();
    expect(await second.client.applyIngress()).toMatchObject({running: false, problem: ''});
    expect(await answers()).toBe(false);
  } finally {
    proxy.signal('SIGKILL');
    await proxy.clear();
    await removeTempDir(dir);
  }
}, 60_000);
