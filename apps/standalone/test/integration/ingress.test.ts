/** Ingress of a machine that is alone, and so has no sidecar. */
import {join} from 'node:path';
import {endIngress, ProxyProcess} from '@hivemind/sidecar/ingress';
import {freePort, waitFor} from '@hivemind/testkit';
import {aHivemind} from '../standalone.ts';

it('is taken by `hivemind up` alone, goes on without it, and ends when that is asked for', async () => {
  const port = await freePort();
  await using fixture = await aHivemind();
  const {hivemind} = fixture;
  const proxy = new ProxyProcess(join(hivemind.dataDir, 'sidecar', 'ingress'));
  const status = (host: string): Promise<number> => fetch(`http://127.0.0.1:${port}/`, {headers: {host}}).then((reply) => reply.status, () => 0);
  try {
    expect(await hivemind.call('PUT', '/ingresses/site', {name: 'site', spec: {rules: [{host: 'shop.example', app: 'web'}], listen: {http: port}}})).toMatchObject({status: 201});
    await waitFor(async () => (await status('127.0.0.1')) === 404, {what: 'HAProxy to answer for a host that is nobody\'s', deadlineMs: 20_000});
    await waitFor(async () => {
      const {body} = await hivemind.call('GET', '/ingresses/site/nodes');
      expect(body).toMatchObject({items: [{state: 'current', running: true, problem: ''}]});
      return true;
    }, {what: 'the machine to say so', deadlineMs: 20_000});
    const pid = proxy.pid();
    await hivemind.kill();
    expect([await status('127.0.0.1'), proxy.pid()]).toEqual([404, pid]);
  } finally {
    await endIngress(hivemind.dataDir);
  }
  expect(proxy.pid()).toBeUndefined();
}, 90_000);
