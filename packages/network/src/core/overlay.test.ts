import {NetworkSpec} from '@hivemind/contracts';
import {declare, type Declared} from './declare.ts';
import {type KernelState, type Link, parseKernel} from './kernel.ts';
import {mend, otherOwner, removal} from './mend.ts';

const link = (name: string, address: string, prefix = 24, more: Partial<Link> = {}): Link => ({name, mtu: 1500, mac: '02:00:00:00:00:01', up: true, master: undefined, kind: 'veth', alias: undefined, vxlan: undefined, addresses: [{address, prefix}], ...more});
const links = [link('lo', '127.0.0.1', 8, {mtu: 65_536}), link('eth0', '10.200.0.11'), link('eth1', '192.168.5.11')];
const self = {node: 'm1', address: '10.200.0.11', subnet: '10.244.1.0/24'};
const near = {node: 'm2', address: '10.200.0.12', subnet: '10.244.2.0/24'};
const far = {node: 'm3', address: '172.20.1.13', subnet: '10.244.3.0/24'};
const of = (backend: NetworkSpec['backend'], peers = [near, far], more: Partial<NetworkSpec> = {}): Declared => declare({spec: NetworkSpec.parse({backend, ...more}), peers, virtualIps: '10.96.0.0/16'}, self, links);
/** To virtual IPs, from the machine itself. */
const own = {destination: '10.96.0.0/16', gateway: undefined, device: 'lo', source: '10.244.1.1', onLink: false};

describe('what a machine\'s kernel should have', () => {
  it('is a bridge alone where there is no other machine', () => {
    expect(of('vxlan', [])).toEqual({bridge: {mac: '0a:58:0a:f4:01:01', address: '10.244.1.1', prefix: 24, mtu: 1450}, vxlan: undefined, routes: [own], neighbours: [], forwarding: [], peers: [], problems: []});
  });

  it('is a route, a neighbour and an entry for each machine over VXLAN', () => {
    expect(of('vxlan')).toMatchObject({
      vxlan: {mac: '0a:58:0a:f4:01:00', address: '10.244.1.0', id: 244, port: 8472, local: '10.200.0.11', mtu: 1450},
      routes: [own, {destination: '10.244.2.0/24', gateway: '10.244.2.0', device: 'hm-vx', onLink: true}, {destination: '10.244.3.0/24', gateway: '10.244.3.0'}],
      neighbours: [{address: '10.244.2.0', mac: '0a:58:0a:f4:02:00'}, {address: '10.244.3.0', mac: '0a:58:0a:f4:03:00'}],
      forwarding: [{mac: '0a:58:0a:f4:02:00', machine: '10.200.0.12'}, {mac: '0a:58:0a:f4:03:00', machine: '172.20.1.13'}],
      problems: [],
    });
  });

  it('is a plain route to those on a segment with it, where that is wanted or allowed', () => {
    const direct = {destination: '10.244.2.0/24', gateway: '10.200.0.12', device: 'eth0', source: '10.244.1.1', onLink: false};
    expect(of('auto')).toMatchObject({routes: [own, direct, {device: 'hm-vx'}], forwarding: [{machine: '172.20.1.13'}], peers: [{via: 'direct'}, {via: 'vxlan'}], bridge: {mtu: 1450}});
    expect(of('auto', [near]).vxlan).toBeUndefined();
    expect(of('direct')).toMatchObject({vxlan: undefined, routes: [own, direct], peers: [{via: 'direct'}, {via: 'none'}], bridge: {mtu: 1500}, problems: [expect.stringContaining('node m3 (172.20.1.13) is on no segment')]});
  });

  it('keeps to the MTU that it is told', () => {
    expect(of('vxlan', [near], {mtu: 9000})).toMatchObject({bridge: {mtu: 8950}, vxlan: {mtu: 8950}});
  });

  it.each(['127.0.0.1', 'm2.example', 'fd00::2'])('says that it does not reach %s', (address) => {
    expect(of('auto', [{...near, address}])).toMatchObject({routes: [own], peers: [{via: 'none'}], problems: [expect.stringContaining('--advertise')]});
  });

  it('says that a machine behind another address is not reached', () => {
    expect(declare({spec: NetworkSpec.parse({backend: 'vxlan'}), peers: [near], virtualIps: '10.96.0.0/16'}, {...self, address: '203.0.113.7'}, links)).toMatchObject({routes: [own], problems: [expect.stringContaining('no interface of this machine')]});
  });
});

describe('what is put right', () => {
  const empty: KernelState = {links, routes: [], neighbours: [], forwarding: []};
  const declared = of('auto');
  const bridge = link('hm0', '10.244.1.1', 24, {mac: '0a:58:0a:f4:01:01', mtu: 1450, kind: 'bridge', alias: 'hivemind:c1'});
  const vxlan = link('hm-vx', '10.244.1.0', 32, {mac: '0a:58:0a:f4:01:00', mtu: 1450, kind: 'vxlan', vxlan: {id: 244, port: 8472, local: '10.200.0.11'}});
  const right: KernelState = {
    links: [...links, bridge, vxlan],
    routes: declared.routes,
    neighbours: declared.neighbours,
    forwarding: declared.forwarding,
  };

  it('is nothing where all is right', () => {
    expect(mend(declared, right, new Set(), 'c1', 0)).toEqual({ip: [], bridge: []});
  });

  it('is all of it on a machine that has nothing', () => {
    const {ip, bridge: entries} = mend(declared, empty, new Set(), 'c1', 0);
    expect(ip).toEqual([
      'link add hm0 address 0a:58:0a:f4:01:01 mtu 1450 type bridge', 'link set hm0 alias hivemind:c1', 'addr add 10.244.1.1/24 dev hm0', 'link set hm0 up',
      'link add hm-vx address 0a:58:0a:f4:01:00 mtu 1450 type vxlan id 244 dstport 8472 local 10.200.0.11 nolearning', 'link set hm-vx addrgenmode none', 'addr add 10.244.1.0/32 dev hm-vx', 'link set hm-vx up',
      'neigh replace 10.244.3.0 lladdr 0a:58:0a:f4:03:00 dev hm-vx nud permanent',
      'route replace 10.96.0.0/16 dev lo src 10.244.1.1 proto 244 metric 4096', 'route replace 10.244.2.0/24 via 10.200.0.12 dev eth0 src 10.244.1.1 proto 244', 'route replace 10.244.3.0/24 via 10.244.3.0 dev hm-vx onlink proto 244',
    ]);
    expect(entries).toEqual(['fdb replace 0a:58:0a:f4:03:00 dev hm-vx dst 172.20.1.13 self permanent']);
  });

  it('is what a person took away or changed, and nothing else', () => {
    const members = new Set(['veth1', 'veth2', 'vethgone']);
    const of = (change: Partial<KernelState>) => mend(declared, {...right, ...change}, members, 'c1', 0).ip;
    expect(of({routes: right.routes.filter(({device}) => device !== 'eth0')})).toEqual(['route replace 10.244.2.0/24 via 10.200.0.12 dev eth0 src 10.244.1.1 proto 244']);
    expect(of({routes: [...right.routes, {destination: '10.244.9.0/24', gateway: '10.200.0.19', device: 'eth0', source: undefined, onLink: false}]})).toEqual(['route del 10.244.9.0/24 proto 244']);
    expect(of({neighbours: []})).toEqual(['neigh replace 10.244.3.0 lladdr 0a:58:0a:f4:03:00 dev hm-vx nud permanent']);
    expect(of({links: [...links, vxlan, link('veth1', '', 0, {addresses: []}), link('veth2', '', 0, {addresses: [], master: 'br0'})]})).toEqual(['link add hm0 address 0a:58:0a:f4:01:01 mtu 1450 type bridge', 'link set hm0 alias hivemind:c1', 'addr add 10.244.1.1/24 dev hm0', 'link set hm0 up', 'link set veth1 master hm0']);
    expect(of({links: [...links, {...bridge, up: false, addresses: [{address: '10.9.9.9', prefix: 24}]}, vxlan]})).toEqual(['addr del 10.9.9.9/24 dev hm0', 'addr add 10.244.1.1/24 dev hm0', 'link set hm0 up']);
    expect(of({links: [...links, bridge, {...vxlan, vxlan: {id: 7, port: 8472, local: '10.200.0.11'}}]}).slice(0, 2)).toEqual(['link delete hm-vx', expect.stringContaining('id 244')]);
    expect(mend(declared, {...right, forwarding: [{mac: '0a:58:0a:f4:03:00', machine: '10.0.0.1'}, {mac: '0a:58:0a:f4:08:00', machine: '10.0.0.8'}]}, members, 'c1', 0).bridge).toEqual(['fdb del 0a:58:0a:f4:03:00 dev hm-vx dst 10.0.0.1 self', 'fdb del 0a:58:0a:f4:08:00 dev hm-vx dst 10.0.0.8 self', 'fdb replace 0a:58:0a:f4:03:00 dev hm-vx dst 172.20.1.13 self permanent']);
  });

  it('is nothing of another cluster\'s', () => {
    expect([otherOwner(right, 'c1'), otherOwner(right, 'c2'), otherOwner(empty, 'c1')]).toEqual([undefined, 'hivemind:c1', undefined]);
  });

  it('takes the device away when nobody is reached over it any more', () => {
    expect(mend(of('auto', [near]), right, new Set(), 'c1', 0)).toEqual({ip: ['link delete hm-vx', 'route del 10.244.3.0/24 proto 244'], bridge: []});
  });

  it('leaves nothing where all is to go', () => {
    expect(removal(right)).toEqual({ip: ['route del 10.96.0.0/16 proto 244', 'route del 10.244.2.0/24 proto 244', 'route del 10.244.3.0/24 proto 244', 'link delete hm-vx', 'link delete hm0'], bridge: []});
    expect(removal(empty)).toEqual({ip: [], bridge: []});
  });
});

describe('what the kernel tells', () => {
  it('is read from what ip and bridge print', () => {
    const ip = [
      '[{"ifindex":2,"ifname":"hm0","flags":["BROADCAST","UP"],"mtu":1450,"address":"0a:58:0a:f4:01:01","ifalias":"hivemind:c1","linkinfo":{"info_kind":"bridge","info_data":{"forward_delay":1500}},"addr_info":[{"family":"inet","local":"10.244.1.1","prefixlen":24},{"family":"inet6","local":"fe80::1","prefixlen":64}]},{},{"ifname":"hm-vx","flags":[],"mtu":1450,"address":"0a:58:0a:f4:01:00","linkinfo":{"info_kind":"vxlan","info_data":{"id":244,"port":8472,"local":"10.200.1.11"}},"addr_info":[]},{"ifname":"veth1","mtu":1450,"master":"hm0","linkinfo":{"info_kind":"veth"}}]',
      '[{"type":"unicast","dst":"10.244.2.0/24","gateway":"10.244.2.0","dev":"hm-vx","flags":["onlink"]},{"dst":"10.244.3.7","gateway":"10.200.1.13","dev":"eth0","prefsrc":"10.244.1.1","flags":[]},{"dst":"10.96.0.0/16","dev":"lo","scope":"link","prefsrc":"10.244.1.1","metric":4096,"flags":[]}]',
      '[{"dst":"10.244.2.0","lladdr":"0a:58:0a:f4:02:00","state":["PERMANENT"]}]',
    ].join('\n');
    expect(parseKernel(ip, '[{"mac":"0a:58:0a:f4:02:00","dst":"10.200.1.12","flags":["self"],"state":"permanent"},{"mac":"33:33:00:00:00:01","flags":["self"],"state":"permanent"}]\n')).toEqual({
      links: [
        {name: 'hm0', mtu: 1450, mac: '0a:58:0a:f4:01:01', up: true, master: undefined, kind: 'bridge', alias: 'hivemind:c1', vxlan: undefined, addresses: [{address: '10.244.1.1', prefix: 24}]},
        {name: 'hm-vx', mtu: 1450, mac: '0a:58:0a:f4:01:00', up: false, master: undefined, kind: 'vxlan', vxlan: {id: 244, port: 8472, local: '10.200.1.11'}, addresses: []},
        {name: 'veth1', mtu: 1450, mac: '', up: false, master: 'hm0', kind: 'veth', alias: undefined, vxlan: undefined, addresses: []},
      ],
      routes: [
        {destination: '10.244.2.0/24', gateway: '10.244.2.0', device: 'hm-vx', source: undefined, onLink: true},
        {destination: '10.244.3.7/32', gateway: '10.200.1.13', device: 'eth0', source: '10.244.1.1', onLink: false},
        own,
      ],
      neighbours: [{address: '10.244.2.0', mac: '0a:58:0a:f4:02:00'}],
      forwarding: [{mac: '0a:58:0a:f4:02:00', machine: '10.200.1.12'}],
    });
    expect(parseKernel('[]\n[]\n', '')).toEqual({links: [], routes: [], neighbours: [], forwarding: []});
  });
});
