/** Our own reading and writing of packets beside a general library (dns-packet), which is the slow and sure twin. */
import dnsPacket, {type Packet} from 'dns-packet';
import fc from 'fast-check';
import type {NameItem} from '../model.ts';
import {limitOf, writeAnswer, writeError} from './body.ts';
import {DROP, nameOfKey, QueryReader, RCODE} from './wire.ts';
import {readReply, rewriteReply, writeQuery} from './reply.ts';
import {Zone} from './zone.ts';

const label = fc.string({unit: fc.constantFrom(...'abcxyzABC019-_'), minLength: 1, maxLength: 20});
const name = fc.array(label, {minLength: 1, maxLength: 5}).map((labels) => labels.join('.'));
const types = ['A', 'AAAA', 'SRV', 'PTR', 'TXT', 'SOA', 'NS', 'MX'] as const;
const query = fc.record({
  id: fc.nat(65_535), name, type: fc.constantFrom(...types), rd: fc.boolean(), cd: fc.boolean(),
  edns: fc.option(fc.record({size: fc.integer({min: 1, max: 65_535}), dnssec: fc.boolean()}), {nil: undefined}),
});
type Query = typeof query extends fc.Arbitrary<infer T> ? T : never;

function encode({id, name: asked, type, rd, cd, edns}: Query): Buffer {
  const flags = (rd ? dnsPacket.RECURSION_DESIRED : 0) | (cd ? dnsPacket.CHECKING_DISABLED : 0);
  return dnsPacket.encode({
    type: 'query', id, flags, questions: [{type, name: asked}],
    ...(edns ? {additionals: [{type: 'OPT', name: '.', udpPayloadSize: edns.size, flags: edns.dnssec ? dnsPacket.DNSSEC_OK : 0, extendedRcode: 0, ednsVersion: 0, flag_do: edns.dnssec, options: []}]} : {}),
  });
}

const service = (key: string, value: Partial<Extract<NameItem, {kind: 'service'}>['value']> = {}): NameItem => ({kind: 'service', key, value: {headless: true, aliases: [], ports: [{name: 'http', port: 80, protocol: 'tcp'}], traffic: [], ...value}});
const endpoint = (container: string, address: string): NameItem => ({kind: 'endpoint', key: container, value: {namespace: 'shop', service: 'web', node: 'n1', address, ports: [{name: 'http', port: 80, protocol: 'tcp'}], revision: 1, ready: true}});
const zoneOf = (count: number): Zone => {
  const zone = new Zone({node: 'n1', virtualIps: true});
  zone.apply([service('shop/web'), ...Array.from({length: count}, (_, index) => endpoint(`web-${index}`, `10.244.${index >> 8}.${index & 255}`))], true, 7);
  return zone;
};

describe('packets', () => {
  it('are read as the library reads them', () => {
    fc.assert(fc.property(query, (asked) => {
      const reader = new QueryReader();
      expect(reader.read(encode(asked))).toBe(0);
      expect({id: reader.id, name: nameOfKey(reader.key), type: reader.key.charCodeAt(reader.key.length - 1), class: reader.class, rd: reader.recursionDesired, cd: reader.checkingDisabled, edns: reader.edns, dnssec: reader.dnssec, size: reader.udpSize}).toEqual({
        id: asked.id, name: asked.name.toLowerCase(), type: reader.type & 255, class: 1, rd: asked.rd, cd: asked.cd, edns: asked.edns !== undefined, dnssec: asked.edns?.dnssec ?? false, size: Math.max(512, asked.edns?.size ?? 512),
      });
    }));
  });

  it('that are broken in any way are answered with an error that the library reads, or are no queries', () => {
    const broken = fc.oneof(
      fc.uint8Array({maxLength: 600}),
      fc.tuple(query, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), {minLength: 1, maxLength: 6}), fc.nat(80)).map(([asked, changes, cut]) => {
        const packet = encode(asked);
        for (const [at, byte] of changes) packet[at % packet.length] = byte;
        return cut % 3 === 0 ? packet.subarray(0, cut) : packet;
      }),
    );
    const zone = zoneOf(3);
    const reader = new QueryReader();
    fc.assert(fc.property(broken, (bytes) => {
      const packet = Buffer.from(bytes);
      const rcode = reader.read(packet);
      if (rcode === DROP) {
        // Too short to be answered, or an answer itself.
        expect(packet.length < 12 || (packet[2]! & 0x80) !== 0).toBe(true);
        return;
      }
      const body = rcode === 0 ? zone.lookup(reader.key, '10.244.0.1') : undefined;
      const answer = body ? writeAnswer(reader, packet, body, limitOf(reader, false), Math.random) : writeError(reader, packet, rcode || RCODE.REFUSED);
      expect([answer.readUInt16BE(0), answer[2]! & 0x80]).toEqual([packet.readUInt16BE(0), 0x80]);
      expect(answer.length).toBeLessThanOrEqual(1_232);
      if (rcode !== 0) expect([RCODE.FORMERR, RCODE.NOTIMP]).toContain(answer[3]! & 15);
        if (reader.questionEnd === 0) expect(dnsPacket.decode(answer).questions).toEqual([]);
    }), {numRuns: 2_000});
  });

  it('say what they are to say to the library, cut off where they do not fit, each answer once and in any order', () => {
    fc.assert(fc.property(query, fc.integer({min: 1, max: 300}), (asked, count) => {
      const zone = zoneOf(count);
      const packet = encode({...asked, name: 'WEB.shop.svc.Hive', type: 'A'});
      const reader = new QueryReader();
      expect(reader.read(packet)).toBe(0);
      const limit = limitOf(reader, false);
      const answer = writeAnswer(reader, packet, zone.lookup(reader.key, '')!, limit, Math.random);
      const read: Packet & {rcode?: string} = dnsPacket.decode(answer);
      expect(answer.length).toBeLessThanOrEqual(limit);
      expect({...read.questions?.[0]}).toMatchObject({name: 'WEB.shop.svc.Hive', type: 'A'});
      expect(read).toMatchObject({id: asked.id, type: 'response', flag_aa: true, flag_rd: asked.rd, flag_ra: true, rcode: 'NOERROR'});
      expect(read.additionals?.length).toBe(asked.edns ? 1 : 0);
      const addresses = read.answers?.map((one) => ('data' in one ? String(one.data) : '')) ?? [];
      expect(new Set(addresses).size).toBe(addresses.length);
      const truncated = (answer.readUInt16BE(2) & 0x0200) !== 0;
      expect(addresses.length < count).toBe(truncated);
      // As many as fit.
      if (truncated) expect(limit - answer.length).toBeLessThan(16);
      const whole = dnsPacket.decode(writeAnswer(reader, packet, zone.lookup(reader.key, '')!, 65_535, Math.random));
      expect(whole.answers).toHaveLength(count);
    }), {numRuns: 200});
  });

  it('of other resolvers are passed on to each who asks, without what was said to us alone', () => {
    const record = fc.record({name: fc.constant('example.org'), type: fc.constant('A' as const), ttl: fc.nat(100_000), data: fc.ipV4()});
    fc.assert(fc.property(query, query, fc.array(record, {minLength: 1, maxLength: 60}), fc.nat(10), fc.boolean(), (first, second, answers, age, opt) => {
      const reader = new QueryReader();
      const packet = encode({...first, name: 'example.org', type: 'A'});
      reader.read(packet);
      const sent = writeQuery(reader, packet, 4_711);
      expect(dnsPacket.decode(sent)).toMatchObject({id: 4_711, type: 'query', flag_rd: true, questions: [{name: 'example.org', type: 'A'}], additionals: [{type: 'OPT', udpPayloadSize: 1_232}]});
      const additionals = opt ? [{type: 'OPT' as const, name: '.' as const, udpPayloadSize: 4_096, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: []}] : [];
      const reply = readReply(dnsPacket.encode({type: 'response', id: 4_711, flags: dnsPacket.RECURSION_AVAILABLE, questions: [{name: 'EXAMPLE.org', type: 'A'}], answers, additionals}), sent)!;
      expect(reply.ttl).toBe(Math.min(3_600, ...answers.map(({ttl}) => ttl)));
      const again = encode({...second, name: 'Example.Org', type: 'A'});
      reader.read(again);
      const limit = limitOf(reader, false);
      const told = rewriteReply(reply, reader, again, limit, age);
      expect(told.length).toBeLessThanOrEqual(limit);
      const read = dnsPacket.decode(told);
      expect(read).toMatchObject({id: second.id, flag_rd: second.rd, questions: [{name: 'Example.Org'}]});
      expect(read.additionals?.length).toBe(second.edns ? 1 : 0);
      if ((told.readUInt16BE(2) & 0x0200) === 0) expect(read.answers).toEqual(answers.map((one) => expect.objectContaining({data: one.data, ttl: Math.max(0, one.ttl - age)})));
      else expect(read.answers).toEqual([]);
    }), {numRuns: 300});
  });

  it('that are no answer to what was asked are not taken for one', () => {
    const reader = new QueryReader();
    const packet = encode({id: 1, name: 'example.org', type: 'A', rd: true, cd: false, edns: undefined});
    reader.read(packet);
    const sent = writeQuery(reader, packet, 99);
    const good = {type: 'response' as const, id: 99, questions: [{name: 'example.org', type: 'A' as const}]};
    expect(readReply(dnsPacket.encode(good), sent)).toBeDefined();
    for (const other of [{...good, id: 98}, {...good, type: 'query' as const}, {...good, questions: [{name: 'example.com', type: 'A' as const}]}, {...good, questions: [{name: 'example.org', type: 'AAAA' as const}]}, {...good, questions: []}]) expect(readReply(dnsPacket.encode(other), sent)).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({maxLength: 300}), fc.nat(60), (noise, keep) => {
      // Never throws.
      readReply(Buffer.concat([dnsPacket.encode(good).subarray(0, keep), noise]), sent);
    }));
  });
});
