import dnsPacket, {type Answer, type RecordType} from 'dns-packet';
import type {NameItem} from '../model.ts';
import {limitOf, writeAnswer} from './body.ts';
import {QueryReader} from './wire.ts';
import {Zone} from './zone.ts';

const http = {name: 'http', port: 80, protocol: 'tcp' as const};
const postgres = {port: 5_432, protocol: 'tcp' as const};
const service = (key: string, value: Partial<NonNullable<Extract<NameItem, {kind: 'service'}>['value']>> = {}): NameItem => ({kind: 'service', key, value: {headless: false, aliases: [], ports: [http], traffic: [], ...value}});
const endpoint = (container: string, of: string, address: string, value: Partial<NonNullable<Extract<NameItem, {kind: 'endpoint'}>['value']>> = {}): NameItem => {
  const [namespace = '', name = ''] = of.split('/');
  return {kind: 'endpoint', key: container, value: {namespace, service: name, node: 'n1', address, ports: [http], revision: 1, ready: true, ...value}};
};

describe('names', () => {
  let zone: Zone;
  beforeEach(() => {
    zone = new Zone({node: 'n1', virtualIps: true});
    zone.apply([
      service('shop/web', {virtualIp: '10.96.0.1', domain: 'web.local', aliases: ['www', 'front.end']}),
      endpoint('web-a', 'shop/web', '10.244.1.2'), endpoint('web-b', 'shop/web', '10.244.2.2', {node: 'n2'}), endpoint('web-c', 'shop/web', '10.244.1.3', {ready: false}),
      service('shop/db', {headless: true, ports: [postgres]}),
      endpoint('db-a', 'shop/db', '10.244.1.4', {ports: [postgres]}), endpoint('db-b', 'shop/db', 'fd00::5', {node: 'n2', ports: [postgres]}),
      service('blog/web', {virtualIp: '10.96.0.9'}), endpoint('web-z', 'blog/web', '10.244.1.9'),
      {kind: 'node', key: 'n2', value: {address: '192.168.0.2'}},
    ], true, 5);
  });

  /** What the library reads of our answer: `rcode`, or the data of the answers; undefined: not ours. */
  const ask = (name: string, type: RecordType = 'A', from = ''): readonly string[] | string | undefined => {
    const packet = dnsPacket.encode({type: 'query', id: 1, questions: [{name, type}]});
    const reader = new QueryReader();
    expect(reader.read(packet)).toBe(0);
    const body = zone.lookup(reader.key, from);
    if (!body) return undefined;
    const answer = dnsPacket.decode(writeAnswer(reader, packet, body, limitOf(reader, true), Math.random)) as dnsPacket.DecodedPacket & {rcode: string};
    if (answer.answers?.length) return answer.answers.map(textOf).toSorted();
    expect(answer.authorities).toEqual([expect.objectContaining({type: 'SOA', ttl: 2})]);
    return answer.rcode === 'NOERROR' ? 'nothing' : answer.rcode;
  };
  const textOf = (answer: Answer): string => {
    if (answer.type === 'SRV') return `${answer.data.target}:${answer.data.port} weight ${answer.data.weight}`;
    return 'data' in answer ? String(answer.data) : '';
  };

  it.each<[string, string, RecordType, string, readonly string[] | string | undefined]>([
    ['a whole name gives the virtual IP', 'web.shop.svc.hive', 'A', '', ['10.96.0.1']],
    ['in any spelling', 'WeB.Shop.sVc.HIVE', 'A', '', ['10.96.0.1']],
    ['a domain of its own', 'web.local', 'A', '', ['10.96.0.1']],
    ['an alias', 'www.shop.svc.hive', 'A', '', ['10.96.0.1']],
    ['name and namespace', 'web.blog', 'A', '', ['10.96.0.9']],
    ['a name within the asker\'s namespace', 'web', 'A', '10.244.1.2', ['10.96.0.1']],
    ['which its address tells', 'web', 'A', '10.244.1.9', ['10.96.0.9']],
    ['also that of one that is not ready', 'web', 'A', '10.244.1.3', ['10.96.0.1']],
    ['an alias with a dot within it', 'front.end', 'A', '10.244.1.2', ['10.96.0.1']],
    ['who is on another machine is not known by its address', 'web', 'A', '10.244.2.2', undefined],
    ['nor is a stranger', 'web', 'A', '9.9.9.9', undefined],
    ['headless: each that is ready', 'db.shop.svc.hive', 'A', '', ['10.244.1.4']],
    ['headless: of either family', 'db.shop.svc.hive', 'AAAA', '', ['fd00::5']],
    ['a virtual IP has no IPv6', 'web.shop.svc.hive', 'AAAA', '', 'nothing'],
    ['nor a text', 'web.shop.svc.hive', 'TXT', '', 'nothing'],
    ['one container, ready or not', 'web-c.web.shop.svc.hive', 'A', '', ['10.244.1.3']],
    ['one container, within the namespace', 'web-a.web', 'A', '10.244.1.2', ['10.244.1.2']],
    ['a container of another service', 'db-a.web.shop.svc.hive', 'A', '', 'NXDOMAIN'],
    ['a machine', 'n2.nodes.hive', 'A', '', ['192.168.0.2']],
    ['no machine', 'n7.nodes.hive', 'A', '', 'NXDOMAIN'],
    ['a port by its name', '_http._tcp.web.shop.svc.hive', 'SRV', '', ['web.shop.svc.hive:80 weight 100']],
    ['a port of each container', '_5432._tcp.db.shop.svc.hive', 'SRV', '', ['db-a.db.shop.svc.hive:5432 weight 100', 'db-b.db.shop.svc.hive:5432 weight 100']],
    ['all ports', 'web.shop.svc.hive', 'SRV', '', ['web.shop.svc.hive:80 weight 100']],
    ['no such port', '_http._udp.web.shop.svc.hive', 'SRV', '', 'NXDOMAIN'],
    ['a port has no address', '_http._tcp.web.shop.svc.hive', 'A', '', 'nothing'],
    ['the parent of ports', '_tcp.web.shop.svc.hive', 'SRV', '', 'nothing'],
    ['who has a virtual IP', '1.0.96.10.in-addr.arpa', 'PTR', '', ['web.shop.svc.hive']],
    ['who has an address', '2.1.244.10.in-addr.arpa', 'PTR', '', ['web-a.web.shop.svc.hive']],
    ['nobody has it', '8.8.8.8.in-addr.arpa', 'PTR', '', undefined],
    ['not there', 'nothing.shop.svc.hive', 'A', '', 'NXDOMAIN'],
    ['names are below it alone', 'shop.svc.hive', 'A', '', 'nothing'],
    ['and below it', 'svc.hive', 'A', '', 'nothing'],
    ['no namespace', 'none.svc.hive', 'A', '', 'NXDOMAIN'],
    ['our domain', 'hive', 'NS', '', 'nothing'],
    ['somebody else\'s', 'example.org', 'A', '10.244.1.2', undefined],
    ['a namespace is no name', 'shop', 'A', '10.244.1.2', undefined],
    ['the root', '.', 'NS', '', undefined],
  ])('%s: %s %s', (_what, name, type, from, expected) => {
    expect(ask(name, type, from)).toEqual(expected);
    // From what was kept it is the same.
    expect(ask(name, type, from)).toEqual(expected);
  });

  it('give addresses in rotation where virtual IPs are not carried', () => {
    const items = [...zone.items()];
    zone = new Zone({node: 'n1', virtualIps: false});
    zone.apply(items, true, 5);
    expect(ask('web.shop.svc.hive')).toEqual(['10.244.1.2', '10.244.2.2']);
    expect(ask('_http._tcp.web.shop.svc.hive', 'SRV')).toEqual(['web-a.web.shop.svc.hive:80 weight 100', 'web-b.web.shop.svc.hive:80 weight 100']);
    zone.apply([endpoint('web-a', 'shop/web', '10.244.1.2', {ready: false}), {kind: 'endpoint', key: 'web-b'}], false, 6);
    expect(ask('web.shop.svc.hive')).toBe('nothing');
    expect(ask('_http._tcp.web.shop.svc.hive', 'SRV')).toBe('nothing');
  });

  it('follow what is told: other addresses, other names, nothing', () => {
    expect(ask('web', 'A', '10.244.1.2')).toEqual(['10.96.0.1']);
    zone.apply([service('shop/web', {virtualIp: '10.96.0.2', domain: 'shop.local'})], false, 6);
    expect([ask('web', 'A', '10.244.1.2'), ask('web.local'), ask('shop.local'), ask('www', 'A', '10.244.1.2'), ask('1.0.96.10.in-addr.arpa', 'PTR')]).toEqual([['10.96.0.2'], undefined, ['10.96.0.2'], undefined, undefined]);
    // A container that was moved to another address takes its namespace along.
    zone.apply([endpoint('web-a', 'shop/web', '10.244.1.77')], false, 7);
    expect([ask('web', 'A', '10.244.1.2'), ask('web', 'A', '10.244.1.77')]).toEqual([undefined, ['10.96.0.2']]);
    zone.apply([{kind: 'service', key: 'shop/web'}, ...['web-a', 'web-b', 'web-c'].map((key): NameItem => ({kind: 'endpoint', key}))], false, 8);
    expect([ask('web.shop.svc.hive'), zone.services]).toEqual(['NXDOMAIN', 2]);
    zone.apply([], true, 9);
    expect([ask('web.blog.svc.hive'), ask('blog.svc.hive'), ask('n2.nodes.hive'), zone.services]).toEqual(['NXDOMAIN', 'NXDOMAIN', 'NXDOMAIN', 0]);
  });

  it('are an app\'s own before they are an alias, and all who share an alias answer to it', () => {
    zone.apply([service('shop/a', {headless: true, aliases: ['web', 'both']}), endpoint('a-1', 'shop/a', '10.0.0.1'), service('shop/b', {headless: true, aliases: ['both']}), endpoint('b-1', 'shop/b', '10.0.0.2')], false, 6);
    expect(ask('web.shop.svc.hive')).toEqual(['10.96.0.1']);
    expect(ask('both.shop.svc.hive')).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('leave out a revision without a share of the traffic, while another has one', () => {
    zone.apply([service('shop/db', {headless: true, traffic: [{revision: 1, weight: 0}, {revision: 2, weight: 100}]}), endpoint('db-c', 'shop/db', '10.244.1.6', {revision: 2})], false, 6);
    expect(ask('db.shop.svc.hive')).toEqual(['10.244.1.6']);
    zone.apply([endpoint('db-c', 'shop/db', '10.244.1.6', {revision: 2, ready: false})], false, 7);
    expect(ask('db.shop.svc.hive')).toEqual(['10.244.1.4']);
  });
});
