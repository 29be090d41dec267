/** All of the sidecar is on one thread: its ring has to bear what else it does. */
import {createSocket} from 'node:dgram';
import dnsPacket from 'dns-packet';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {type SidecarProcess, Sidecars} from '../sidecars.ts';

const SERVICES = 10_000;
/** Of names, as many as an agent sends at once. */
const AT_ONCE = 1_000;
/** Probes of the other member, one a second or so. */
const PROBES = 5;

describe('a sidecar that has much to do', () => {
  let dir: string;
  let sidecars: Sidecars;

  beforeEach(() => {
    dir = tempDir('busy');
    sidecars = new Sidecars(dir);
  });
  afterEach(async () => {
    await sidecars[Symbol.asyncDispose]();
    await removeTempDir(dir);
  });

  /** All names anew, as for an agent that starts. */
  async function tellNames({client}: SidecarProcess, listen: readonly string[], n: number): Promise<void> {
    const items = Array.from({length: SERVICES}, (_, index) => ({kind: 'service', key: `shop/app${index}`, value: {headless: false, aliases: [], ports: [], traffic: [], virtualIp: `10.96.${index >> 8}.${index & 255}`}}));
    for (let part = 0; part * AT_ONCE < SERVICES; part++) {
      const some = items.slice(part * AT_ONCE, (part + 1) * AT_ONCE);
      await client.applyNames({node: 'n1', listen, virtualIps: true, epoch: 'e', from: 0, n, whole: true, part, more: (part + 1) * AT_ONCE < SERVICES, items: Buffer.from(JSON.stringify(some))});
    }
  }

  it('is in time for every probe, asked for names without a pause and told ten thousand of them again and again', async () => {
    const other = await sidecars.start('other');
    const here = await sidecars.start('here');
    await waitFor(async () => (await other.ring()).here === 'alive', {what: 'the ring'});
    const port = await freePort();
    await tellNames(here, [`127.0.0.1:${port}`], 1);
    let answered = 0;
    const asking = createSocket('udp4').on('message', () => (answered += 1));
    const query = dnsPacket.encode({type: 'query', id: 1, questions: [{type: 'A', name: 'app7.shop.svc.hive'}]});
    // As many as there is room for, and again at once.
    let flooding = true;
    const flood = (): void => {
      if (!flooding) return;
      for (let count = 0; count < 64; count++) asking.send(query, port, '127.0.0.1', () => undefined);
      setImmediate(flood);
    };
    flood();
    try {
      await waitFor(() => answered > 0, {what: 'names to be answered'});
      const {probes} = await other.client.statistics();
      let n = 1;
      await waitFor(async () => {
        await tellNames(here, [`127.0.0.1:${port}`], (n += 1));
        return (await other.client.statistics()).probes - probes >= PROBES;
      }, {what: 'probes while it is busy', deadlineMs: 60_000});
      expect(await other.ring()).toEqual({here: 'alive', other: 'alive'});
      expect(other.output() + here.output()).not.toMatch(/member (suspected|died)/);
      expect(answered).toBeGreaterThan(1_000);
    } finally {
      flooding = false;
      asking.close();
    }
  }, 120_000);
});
