import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import dnsPacket from 'dns-packet';
import {FakeClock} from '@hivemind/controller/testing';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Answering} from './answering.ts';
import {Names} from './names.ts';
import type {NamesPart} from './parts.ts';

const service = (name: string, virtualIp: string) => ({kind: 'service', key: `shop/${name}`, value: {headless: false, aliases: [], ports: [], traffic: [], virtualIp}});
const encoded = (items: readonly unknown[]): Uint8Array => Buffer.from(JSON.stringify(items));

/** What the machine says at `port` of a name; undefined: nothing yet. */
async function asked(port: number, name: string): Promise<string | undefined> {
  const socket = createSocket('udp4');
  try {
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const answered = once(socket, 'message', {signal: AbortSignal.timeout(500)});
    answered.catch(() => undefined);
    socket.send(dnsPacket.encode({type: 'query', id: 1, questions: [{type: 'A', name}]}));
    const [answer]: readonly Buffer[] = await answered;
    const [first] = dnsPacket.decode(answer!).answers ?? [];
    return first && 'data' in first ? String(first.data) : 'none';
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

describe('the names of a machine', () => {
  let dir: string;
  let port: number;
  let part: (more?: Partial<NamesPart>) => NamesPart;
  beforeEach(async () => {
    dir = tempDir('answering');
    port = await freePort();
    part = (more = {}) => ({node: 'n1', listen: [`127.0.0.1:${port}`], virtualIps: true, epoch: 'e', from: 0, n: 0, whole: false, part: 0, more: false, items: encoded([]), ...more});
  });
  afterEach(() => removeTempDir(dir));

  it('stand where they were brought: what does not follow changes nothing, a whole counts with its last part', async () => {
    const clock = new FakeClock();
    const answering = new Answering({file: undefined, log: () => undefined, now: () => clock.monotonic(), random: () => 0, setTimer: (callback, ms) => clock.setTimer(callback, ms)});
    const quiet = (more: Partial<NamesPart>) => answering.apply(part({listen: [], ...more}));
    expect(await quiet({from: 3, n: 3})).toEqual({epoch: '', n: 0});
    expect(await quiet({n: 5, whole: true, more: true, items: encoded([service('a', '10.96.0.1')])})).toEqual({epoch: '', n: 0});
    // One that was given up is begun anew; one whose middle is missing counts for nothing.
    expect(await quiet({n: 5, whole: true, more: true, items: encoded([service('b', '10.96.0.2')])})).toEqual({epoch: '', n: 0});
    expect(await quiet({n: 5, whole: true, part: 2, items: encoded([])})).toEqual({epoch: '', n: 0});
    await quiet({n: 5, whole: true, more: true, items: encoded([service('b', '10.96.0.2')])});
    expect(await quiet({n: 5, whole: true, part: 1, items: encoded([service('c', '10.96.0.3')])})).toEqual({epoch: 'e', n: 5});
    expect(answering.vitals().services).toBe(2);
    expect(await quiet({from: 5, n: 6, items: encoded([service('d', '10.96.0.4')])})).toEqual({epoch: 'e', n: 6});
    expect(await quiet({from: 4, n: 9, items: encoded([service('x', '10.96.0.9')])})).toEqual({epoch: 'e', n: 6});
    expect(await quiet({epoch: 'f', from: 6, n: 7, items: encoded([])})).toEqual({epoch: 'e', n: 6});
    expect(answering.vitals()).toMatchObject({services: 3, listening: {}});
    await expect(quiet({from: 6, n: 7, items: Buffer.from('{')})).rejects.toThrow(SyntaxError);
    expect(await quiet({from: 6, n: 7})).toEqual({epoch: 'e', n: 7});
    // Where virtual IPs are not carried any more all of them are there still.
    expect(await quiet({from: 7, n: 8, virtualIps: false})).toEqual({epoch: 'e', n: 8});
    expect(answering.vitals().services).toBe(3);
    answering.close();
  });

  it('are made in pieces: others have their turn in between', async () => {
    const answering = new Answering({file: undefined, log: () => undefined, now: () => 0, random: () => 0, setTimer: () => () => undefined});
    const services = Array.from({length: 5_000}, (_, index) => service(`app${index}`, `10.96.${index >> 8}.${index & 255}`));
    await answering.apply(part({listen: [], n: 1, whole: true, items: encoded(services)}));
    let turns = 0;
    let making = true;
    const count = (): void => {
      turns += 1;
      if (making) setImmediate(count);
    };
    count();
    await answering.apply(part({listen: [], from: 1, n: 2, virtualIps: false}));
    making = false;
    expect(answering.vitals().services).toBe(5_000);
    expect(turns).toBeGreaterThan(5);
    answering.close();
  });

  it('are there only where they are answered, and again after their end, with what is on disk', async () => {
    mkdirSync(join(dir, 'agent'));
    const file = join(dir, 'agent/names.ndjson');
    const names = new Names({file, logger: pino({level: 'silent'}), now: () => performance.now(), random: Math.random, setTimer(callback, ms) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    }});
    await names.start();
    expect(await names.apply(part({listen: [], n: 4}))).toEqual({epoch: 'e', n: 4});
    expect(await names.vitals()).toBeUndefined();
    expect(await names.apply(part({n: 5, whole: true, items: encoded([service('web', '10.96.0.7')])}))).toEqual({epoch: 'e', n: 5});
    await waitFor(async () => (await asked(port, 'web.shop.svc.hive')) === '10.96.0.7', {what: 'the name to be answered'});
    expect(await names.vitals()).toMatchObject({services: 1, listening: {[`127.0.0.1:${port}`]: true}});
    await expect(names.apply(part({from: 5, n: 6, items: Buffer.from('no list')}))).rejects.toMatchObject({code: 'invalid-input'});
    await names.apply(part({listen: []}));
    expect([await names.vitals(), await asked(port, 'web.shop.svc.hive')]).toEqual([undefined, undefined]);
    writeFileSync(file, `${JSON.stringify({format: 1, node: 'n1', listen: [`127.0.0.1:${port}`], virtualIps: true, at: {epoch: 'e', n: 9}})}\n${JSON.stringify(service('kept', '10.96.0.8'))}\n`);
    await names.start();
    await waitFor(async () => (await asked(port, 'kept.shop.svc.hive')) === '10.96.0.8', {what: 'what is on disk to be answered'});
    expect(await names.apply(part({from: 9, n: 10}))).toEqual({epoch: 'e', n: 10});
    await names.stop();
  }, 30_000);
});
