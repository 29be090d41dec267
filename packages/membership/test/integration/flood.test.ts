import {execFile} from 'node:child_process';
import {createSocket, type Socket} from 'node:dgram';
import {once} from 'node:events';
import {createSecretKey, randomBytes, randomInt} from 'node:crypto';
import {connect} from 'node:net';
import {promisify} from 'node:util';
import {fromPortZero, waitFor} from '@hivemind/testkit';
import type {Member} from '../../src/node/index.ts';
import {encodePacket, encodeStream} from '../../src/wire/index.ts';
import {allSee, diedOf, start, stopAll} from './members.ts';

const key = Buffer.alloc(16, 9);
const ring = {keys: [createSecretKey(key)]} as const;
const otherRing = {keys: [createSecretKey(Buffer.alloc(16, 8))]} as const;

let socket: Socket;
beforeEach(async () => {
  socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
});
afterEach(async () => {
  socket.close();
  await stopAll();
});

const send = (member: Member, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(bytes, member.address.port, member.address.host, (error) => (error ? reject(error) : resolve()));
  });

/** What must not change. */
/** By name: the order in which a member lists others means nothing. */
const view = (member: Member): unknown => new Map(member.members().map(({name, address, state, incarnation, metadata}) => [name, {address, state, incarnation, metadata}]));

const lies = (name: string, incarnation: number) =>
  [
    {type: 'suspect', name, incarnation, from: 'x'},
    {type: 'dead', name, incarnation, from: 'x'},
    {type: 'dead', name, incarnation, from: name},
    {type: 'alive', claim: {name, incarnation, address: {host: '127.0.0.1', port: 9}, meta: new Uint8Array(0), versions: [1, 5, 5, 0, 0, 0]}},
  ] as const;

describe('a flood', () => {
  it('of forged, truncated and random packets changes no member and is counted', async () => {
    const rates = {stranger: 50, strangers: 100};
    const a = await start({name: 'a', keys: [key], rates, metadata: {zone: 'z'}});
    const b = await start({name: 'b', keys: [key], rates, join: [a.member.address]});
    const c = await start({name: 'c', keys: [key], rates, join: [a.member.address]});
    const all = [a, b, c];
    await allSee(all, ['a alive', 'b alive', 'c alive']);
    const before = all.map(({member}) => view(member));

    for (let n = 0; n < 1500; n += 1) {
      const {member} = all[n % 3] ?? a;
      const forged = encodePacket(lies('b', 1000 + n), otherRing);
      const genuine = encodePacket(lies('b', 1000 + n), ring);
      await send(member, forged);
      await send(member, genuine.subarray(0, randomInt(genuine.length)));
      await send(member, encodePacket(lies('c', 1000 + n)));
      await send(member, randomBytes(randomInt(1400)));
    }
    await waitFor(() => all.every(({member}) => (member.statistics().dropped.rate ?? 0) > 0), {what: 'the rate bound to be met'});
    expect(all.every(({member}) => (member.statistics().dropped['no-key'] ?? 0) > 0)).toBe(true);
    const ping = encodePacket([{type: 'ping', seq: 1, target: 'a'}], ring);
    await promisify(execFile)(...fromPortZero(a.member.address, ping));
    await waitFor(() => (a.member.statistics().dropped['send-failed'] ?? 0) > 0, {what: 'a ping from where nobody can be answered'});
    expect(all.map(({member}) => view(member))).toEqual(before);
    expect(diedOf(all)).toEqual([]);
  }, 60_000);

  it('of replayed packets is old news', async () => {
    const a = await start({name: 'a', keys: [key]});
    const b = await start({name: 'b', keys: [key], join: [a.member.address]});
    await allSee([a, b], ['a alive', 'b alive']);
    // What is replayed was once true: an accusation of b, which b has refuted since with a greater incarnation.
    const accusation = encodePacket(lies('b', b.member.members()[0]?.incarnation ?? 0).slice(0, 1), ring);
    await send(b.member, accusation);
    await waitFor(() => a.member.members().some(({name, incarnation}) => name === 'b' && incarnation > 1), {what: 'b to have refuted'});
    await allSee([a, b], ['a alive', 'b alive']);
    const before = [a, b].map(({member}) => view(member));
    const packets = a.member.statistics().packetsIn;
    // A kernel that is busy drops some.
    await waitFor(async () => {
      for (let n = 0; n < 100; n += 1) await Promise.all([send(a.member, accusation), send(b.member, accusation)]);
      return a.member.statistics().packetsIn >= packets + 300;
    }, {what: 'the replayed packets to have arrived'});
    expect([a, b].map(({member}) => view(member))).toEqual(before);
  }, 60_000);

  it('of connections leaves room for members, and each ends', async () => {
    const a = await start({name: 'a', keys: [key]});
    const idle = Array.from({length: 110}, () => connect(a.member.address));
    try {
      for (const one of idle) one.on('error', () => undefined);
      await waitFor(() => (a.member.statistics().dropped.connections ?? 0) >= 110 - 96, {what: 'connections over the bound to be refused'});
      for (const one of idle.slice(0, 40)) one.destroy();
      const garbage = connect(a.member.address);
      garbage.on('error', () => undefined);
      garbage.resume();
      garbage.write(randomBytes(4096));
      await once(garbage, 'close');
      const unsealed = connect(a.member.address);
      unsealed.on('error', () => undefined);
      unsealed.write(encodeStream({type: 'push-pull', join: true, members: [], userState: new Uint8Array(0)}, {}, true));
      unsealed.resume();
      await once(unsealed, 'close');
      expect(a.member.statistics().dropped['no-key']).toBeGreaterThan(0);
      expect(a.member.members()).toHaveLength(1);
      const b = await start({name: 'b', keys: [key], join: [a.member.address]});
      await allSee([a, b], ['a alive', 'b alive']);
    } finally {
      for (const one of idle) one.destroy();
    }
  }, 60_000);
});
