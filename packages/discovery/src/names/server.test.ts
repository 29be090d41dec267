/** The name server on real sockets of this machine, with other resolvers that are ours. */
import {createSocket, type Socket} from 'node:dgram';
import {once} from 'node:events';
import {writeFileSync} from 'node:fs';
import {createConnection, createServer} from 'node:net';
import {join} from 'node:path';
import dnsPacket, {type DecodedPacket, type Packet} from 'dns-packet';
import fc from 'fast-check';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {systemClock} from '@hivemind/controller';
import {Zone} from '../core/zone.ts';
import type {NameItem} from '../model.ts';
import {Forwarder} from './forwarder.ts';
import {machineResolvers} from './resolvers.ts';
import {NameServer} from './server.ts';
import type {UpstreamAddress} from './upstream.ts';

type Answer = DecodedPacket & {rcode: string};

/** A resolver that answers as it is told to, over UDP and TCP, and counts. */
class Resolver implements AsyncDisposable {
  asked = 0;
  askedByTcp = 0;
  /** undefined: it says nothing. */
  respond: (question: Packet) => Buffer | undefined = (question) => reply(question);
  readonly #udp = createSocket('udp4');
  readonly #tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      this.askedByTcp += 1;
      socket.write(dnsPacket.streamEncode({...dnsPacket.decode(reply(dnsPacket.streamDecode(data), 90))}));
    });
  });

  async start(): Promise<UpstreamAddress> {
    this.#udp.on('message', (packet, {port, address}) => {
      this.asked += 1;
      const answer = this.respond(dnsPacket.decode(packet));
      if (answer) this.#udp.send(answer, port, address);
    });
    this.#udp.bind(0, '127.0.0.1');
    await once(this.#udp, 'listening');
    this.#tcp.listen(this.#udp.address().port, '127.0.0.1');
    await once(this.#tcp, 'listening');
    return {address: '127.0.0.1', port: this.#udp.address().port};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    this.#tcp.close();
  }
}

function reply({id, questions}: Packet, count = 1): Buffer {
  return dnsPacket.encode({type: 'response', id, flags: dnsPacket.RECURSION_AVAILABLE, questions, answers: Array.from({length: count}, (_, index) => ({type: 'A', name: questions?.[0]?.name ?? '', ttl: 60, data: `192.0.2.${index + 1}`}))});
}

const items: readonly NameItem[] = [
  {kind: 'service', key: 'shop/web', value: {headless: true, aliases: [], ports: [], traffic: []}},
  ...Array.from({length: 200}, (_, index): NameItem => ({kind: 'endpoint', key: `web-${index}`, value: {namespace: 'shop', service: 'web', node: 'n1', address: index === 0 ? '127.0.0.7' : `10.0.0.${index}`, ports: [], revision: 1, ready: true}})),
];

describe('the name server', () => {
  let port: number;
  let server: NameServer;
  let forwarder: Forwarder;
  let upstreams: readonly UpstreamAddress[];
  const problems: string[] = [];
  beforeEach(async () => {
    port = await freePort();
    upstreams = [];
    problems.length = 0;
    const zone = new Zone({node: 'n1', virtualIps: false});
    zone.apply(items, true, 1);
    const setTimer = (callback: () => void, ms: number): (() => void) => systemClock.setTimer(callback, ms);
    forwarder = new Forwarder({upstreams: () => upstreams, now: () => systemClock.monotonic(), setTimer});
    server = new NameServer({zone, forwarder, random: Math.random, setTimer, onProblem: (address) => problems.push(address), onListening: () => undefined});
    server.listen([{address: '127.0.0.1', port}]);
    await waitFor(() => server.listening.length === 1, {what: 'the server to listen'});
  });
  afterEach(() => {
    server.close();
    forwarder.close();
  });

  /** Sends, and waits for an answer to it; lost ones are asked for again. */
  const send = async (packet: Uint8Array, from = '127.0.0.1'): Promise<Buffer> => {
    const socket: Socket = createSocket('udp4');
    try {
      socket.bind(0, from);
      await once(socket, 'listening');
      const answered = once(socket, 'message', {signal: AbortSignal.timeout(10_000)});
      socket.send(packet, port, '127.0.0.1');
      const [answer]: readonly Buffer[] = await answered;
      return answer!;
    } finally {
      socket.close();
    }
  };
  const encode = (name: string, more: Partial<Packet> = {}): Buffer => dnsPacket.encode({type: 'query', id: 77, flags: dnsPacket.RECURSION_DESIRED, questions: [{type: 'A', name}], ...more});
  const ask = async (name: string, more: Partial<Packet> = {}, from = '127.0.0.1'): Promise<Answer> => dnsPacket.decode(await send(encode(name, more), from)) as Answer;
  const askTcp = async (...packets: readonly Buffer[]): Promise<readonly Answer[]> => {
    const socket = createConnection(port, '127.0.0.1');
    const answers: Answer[] = [];
    let received = Buffer.alloc(0);
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        answers.push(dnsPacket.decode(received.subarray(2, end)) as Answer);
        received = received.subarray(end);
      }
    });
    const stream = Buffer.concat(packets.map((packet) => Buffer.concat([Buffer.from([packet.length >> 8, packet.length & 255]), packet])));
    // In pieces, as a network may.
    socket.write(stream.subarray(0, 5));
    socket.write(stream.subarray(5));
    await waitFor(() => answers.length === packets.length, {what: 'answers over TCP'});
    socket.destroy();
    return answers;
  };

  it('answers what is the cluster\'s over UDP, cut off where it does not fit, and whole over TCP', async () => {
    const cut = await ask('web.shop.svc.hive');
    expect(cut).toMatchObject({id: 77, rcode: 'NOERROR', flag_tc: true, flag_aa: true});
    expect(cut.answers!.length).toBeLessThan(200);
    const [whole, second] = await askTcp(encode('web.shop.svc.hive'), encode('web-3.web.shop.svc.hive', {id: 78}));
    expect([whole?.flag_tc, whole?.answers?.length]).toEqual([false, 200]);
    expect(second).toMatchObject({id: 78, answers: [{data: '10.0.0.3'}]});
    expect(server.counters).toMatchObject({queries: 3, own: 3, refused: 0});
  });

  it('knows the namespace of who asks by its address', async () => {
    expect(await ask('web-3.web', {}, '127.0.0.7')).toMatchObject({rcode: 'NOERROR', answers: [{data: '10.0.0.3'}]});
    expect(await ask('web-3.web')).toMatchObject({rcode: 'SERVFAIL'});
  });

  it('answers what it will not or cannot read with why', async () => {
    const rcode = async (packet: Buffer): Promise<number> => (await send(packet))[3]! & 15;
    const changed = (change: (packet: Buffer) => void): Buffer => {
      const packet = encode('web.shop.svc.hive');
      change(packet);
      return packet;
    };
    expect(await rcode(changed((packet) => packet.writeUInt8(0x28, 2)))).toBe(4);
    expect(await rcode(changed((packet) => packet.writeUInt16BE(2, 4)))).toBe(1);
    expect(await rcode(changed((packet) => packet.writeUInt8(0xff, 12)))).toBe(1);
    expect(await rcode(encode('web.shop.svc.hive').subarray(0, 20))).toBe(1);
    expect(await rcode(changed((packet) => packet.writeUInt16BE(3, packet.length - 2)))).toBe(5);
    expect(await rcode(changed((packet) => packet.writeUInt16BE(252, packet.length - 4)))).toBe(5);
    const version = await ask('web.shop.svc.hive', {additionals: [{type: 'OPT', name: '.', udpPayloadSize: 1_232, extendedRcode: 0, ednsVersion: 1, flags: 0, flag_do: false, options: []}]});
    expect(version.additionals).toEqual([expect.objectContaining({type: 'OPT', extendedRcode: 1})]);
  });

  it('answers on after any noise', async () => {
    const noise = createSocket('udp4');
    const packets = fc.sample(fc.oneof(fc.uint8Array({maxLength: 1_500}), fc.tuple(fc.nat(60), fc.nat(255)).map(([at, byte]) => {
      const packet = encode('web.shop.svc.hive');
      packet[at % packet.length] = byte;
      return packet;
    })), 500);
    for (const packet of packets) noise.send(packet, port, '127.0.0.1');
    const connection = createConnection(port, '127.0.0.1');
    connection.on('error', () => connection.destroy());
    for (const packet of packets) connection.write(packet);
    expect(await ask('web-3.web.shop.svc.hive')).toMatchObject({answers: [{data: '10.0.0.3'}]});
    noise.close();
    connection.destroy();
  });

  it('asks other resolvers for the rest, once for many, and keeps what they say', async () => {
    await using resolver = new Resolver();
    upstreams = [await resolver.start()];
    const answers = await Promise.all(Array.from({length: 20}, () => ask('example.org')));
    for (const answer of answers) expect(answer).toMatchObject({id: 77, rcode: 'NOERROR', flag_aa: false, answers: [{data: '192.0.2.1'}]});
    expect(await ask('EXAMPLE.org')).toMatchObject({questions: [{name: 'EXAMPLE.org'}], answers: [{data: '192.0.2.1'}]});
    expect(resolver.asked).toBe(1);
    expect(await ask('other.org', {flags: 0})).toMatchObject({rcode: 'REFUSED'});
    expect(await ask('nothing.hive')).toMatchObject({rcode: 'NXDOMAIN'});
    expect(resolver.asked).toBe(1);
  });

  it('asks the next one where one is not there, says nothing or cannot say; and says so where none can', async () => {
    await using resolver = new Resolver();
    await using silent = new Resolver();
    await using broken = new Resolver();
    silent.respond = () => undefined;
    broken.respond = (question) => {
      const packet = reply(question, 0);
      packet[3] = 2;
      return packet;
    };
    const gone = {address: '127.0.0.1', port: await freePort()};
    const there = await resolver.start();
    upstreams = [gone, await broken.start(), there];
    expect(await ask('a.org')).toMatchObject({rcode: 'NOERROR'});
    upstreams = [await silent.start(), there];
    expect(await ask('b.org')).toMatchObject({rcode: 'NOERROR'});
    upstreams = [gone];
    expect(await ask('c.org')).toMatchObject({rcode: 'SERVFAIL', questions: [{name: 'c.org'}]});
    upstreams = [];
    expect(await ask('d.org')).toMatchObject({rcode: 'SERVFAIL'});
    expect(server.counters.failed).toBe(2);
    // What is the cluster's needs nobody.
    expect(await ask('web-3.web.shop.svc.hive')).toMatchObject({rcode: 'NOERROR'});
  });

  it('takes no answer that was not asked for, and one that was cut off again over TCP', async () => {
    await using resolver = new Resolver();
    resolver.respond = (question) => {
      const packet = reply({...question, id: (question.id ?? 0) ^ 1});
      return packet;
    };
    upstreams = [await resolver.start()];
    expect(await ask('forged.org')).toMatchObject({rcode: 'SERVFAIL'});
    resolver.respond = (question) => {
      const packet = reply(question, 0);
      packet[2] = packet[2]! | 2;
      return packet;
    };
    expect(await ask('long.org')).toMatchObject({flag_tc: true, answers: []});
    const [whole] = await askTcp(encode('long.org'));
    expect(whole?.answers).toHaveLength(90);
    expect(resolver.askedByTcp).toBe(1);
  });

  it('listens where it is told to: at what is to come when it is there, and no more where it was', async () => {
    const taken = createSocket('udp4');
    const other = await freePort();
    taken.bind(other, '127.0.0.1');
    await once(taken, 'listening');
    server.listen([{address: '127.0.0.1', port: other}]);
    await waitFor(() => problems.length > 0, {what: 'it to notice'});
    expect(server.listening).toEqual([]);
    taken.close();
    await waitFor(() => server.listening.length === 1, {what: 'it to listen there'});
    port = other;
    expect(await ask('web-3.web.shop.svc.hive')).toMatchObject({answers: [{data: '10.0.0.3'}]});
  });
});

describe('the machine\'s resolvers', () => {
  it('are those of its file as it is now, but for ourselves', async () => {
    const dir = tempDir('resolv');
    const path = join(dir, 'resolv.conf');
    let now = 0;
    const resolvers = machineResolvers({path, own: () => new Set(['10.0.0.1']), now: () => now});
    expect(resolvers()).toEqual([]);
    writeFileSync(path, '# nameserver 1.1.1.1\nnameserver 10.0.0.1\nnameserver 9.9.9.9\n  nameserver\tfd00::1\nnameserver nonsense\nsearch x\n');
    expect(resolvers()).toEqual([]);
    now = 5_000;
    expect(resolvers()).toEqual([{address: '9.9.9.9', port: 53}, {address: 'fd00::1', port: 53}]);
    await removeTempDir(dir);
  });
});
