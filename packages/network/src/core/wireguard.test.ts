import {NetworkSpec} from '@hivemind/contracts';
import {declare} from './declare.ts';
import type {KernelState, Link} from './kernel.ts';
import {mend, removal} from './mend.ts';
import {configOf, parseDump, type WireGuardState} from './wireguard.ts';

const [own, theirs, others] = ['A', 'B', 'C'].map((letter) => `${letter.repeat(42)}A=`) as [string, string, string];
const link = (name: string, address: string, prefix: number, more: Partial<Link> = {}): Link => ({name, mtu: 1500, mac: '', up: true, master: undefined, kind: 'veth', alias: undefined, vxlan: undefined, addresses: [{address, prefix}], ...more});
const eth0 = link('eth0', '10.200.0.11', 24);
const self = {node: 'm1', address: '10.200.0.11', subnet: '10.244.1.0/24', wireguardKey: own};
const near = {node: 'm2', address: '10.200.0.12', subnet: '10.244.2.0/24', wireguardKey: theirs};
const far = {node: 'm3', address: '172.20.1.13', subnet: '10.244.3.0/24', wireguardKey: others};
const of = (peers: readonly (typeof near | Omit<typeof near, 'wireguardKey'>)[], more: Partial<NetworkSpec> = {}) => declare({spec: NetworkSpec.parse({backend: 'wireguard', ...more}), peers: [...peers], virtualIps: '10.96.0.0/16'}, self, [eth0]);
const declared = of([near, far]);
const NOW = 10_000_000;

describe('packets that are encrypted', () => {
  it('have a device, a route to it for each machine, and no other way', () => {
    expect(declared).toMatchObject({
      bridge: {mtu: 1420}, vxlan: undefined, neighbours: [], forwarding: [], problems: [],
      wireguard: {key: own, port: 51_820, address: '10.244.1.0', mtu: 1420, peers: [{key: theirs, endpoint: '10.200.0.12:51820', range: '10.244.2.0/24'}, {key: others, endpoint: '172.20.1.13:51820', range: '10.244.3.0/24'}]},
      routes: [{destination: '10.96.0.0/16'}, {destination: '10.244.0.0/16', device: '', gateway: undefined}, {destination: '10.244.2.0/24', gateway: '10.244.2.0', device: 'hm-wg', onLink: true}, {destination: '10.244.3.0/24', device: 'hm-wg'}],
      peers: [{via: 'wireguard'}, {via: 'wireguard'}],
    });
    expect(of([near], {wireguard: {port: 1234}}).wireguard).toMatchObject({port: 1234, peers: [{endpoint: '10.200.0.12:1234'}]});
  });

  it('do not go to a machine without a key', () => {
    const {wireguardKey: _, ...keyless} = near;
    expect(of([keyless])).toMatchObject({wireguard: undefined, routes: [{device: 'lo'}, {device: ''}], peers: [{via: 'none'}], problems: [expect.stringContaining('node m2 has told no WireGuard key')]});
  });
});

describe('the device that encrypts', () => {
  const bridge = link('hm0', '10.244.1.1', 24, {mac: '0a:58:0a:f4:01:01', mtu: 1420, kind: 'bridge', alias: 'hivemind:c1'});
  const device = link('hm-wg', '10.244.1.0', 32, {mtu: 1420, kind: 'wireguard'});
  const state: WireGuardState = {key: own, port: 51_820, peers: [{key: others, endpoint: '172.20.1.13:51820', ranges: ['10.244.3.0/24'], handshake: 0}, {key: theirs, endpoint: '10.200.0.12:51820', ranges: ['10.244.2.0/24'], handshake: 0}]};
  const right: KernelState = {links: [eth0, bridge, device], routes: declared.routes, neighbours: [], forwarding: [], wireguard: state};
  const at = (change: Partial<KernelState>) => mend(declared, {...right, ...change}, new Set(), 'c1', NOW);
  const peer = (change: Partial<WireGuardState['peers'][number]>): Partial<KernelState> => ({wireguard: {...state, peers: [state.peers[0]!, {...state.peers[1]!, ...change}]}});
  const settings = declared.wireguard!;

  it('is left alone where it is right, also while a peer is heard from another address', () => {
    expect(at({})).toEqual({ip: [], bridge: []});
    expect(at(peer({endpoint: '10.9.9.9:4000', handshake: NOW - 1_000}))).toEqual({ip: [], bridge: []});
  });

  it('is made anew where it is gone, or is something else', () => {
    const up = ['link set hm-wg mtu 1420', 'addr add 10.244.1.0/32 dev hm-wg', 'link set hm-wg up'];
    const route = (part: number): string => `route replace 10.244.${part}.0/24 via 10.244.${part}.0 dev hm-wg onlink proto 244`;
    expect(at({links: [eth0, bridge], wireguard: undefined, routes: []})).toMatchObject({wireguard: {isMade: true, settings}, ip: [...up, 'route replace 10.96.0.0/16 dev lo src 10.244.1.1 proto 244 metric 4096', 'route replace unreachable 10.244.0.0/16 proto 244 metric 4096', route(2), route(3)]});
    expect(at({wireguard: undefined})).toMatchObject({wireguard: {isMade: true}, ip: up});
  });

  it.each<[string, Partial<KernelState>]>([
    ['its key', {wireguard: {...state, key: theirs}}],
    ['where it listens', {wireguard: {...state, port: 1}}],
    ['a peer that is missing', {wireguard: {...state, peers: state.peers.slice(1)}}],
    ['a peer too many', {wireguard: {...state, peers: [...state.peers, {...state.peers[0]!, key: own}]}}],
    ['another\'s key', peer({key: own})],
    ['where a peer is, that is not understood', peer({endpoint: '10.9.9.9:4000', handshake: NOW - 200_000})],
    ['whom an address is of', peer({ranges: ['10.244.2.0/24', '10.244.9.0/24']})],
  ])('is set again as to %s', (_, change) => {
    expect(at(change)).toEqual({wireguard: {isMade: false, settings}, ip: [], bridge: []});
  });

  it('goes when nobody is reached over it, and when all is to go', () => {
    expect(mend(of([]), right, new Set(), 'c1', NOW)).toEqual({ip: ['link delete hm-wg', 'route del 10.244.2.0/24 proto 244', 'route del 10.244.3.0/24 proto 244'], bridge: []});
    expect(removal(right).ip.slice(-2)).toEqual(['link delete hm-wg', 'link delete hm0']);
  });

  it('takes the place of a plain route, which would lead on otherwise', () => {
    const plain = {destination: '10.244.2.0/24', gateway: '10.200.0.12', device: 'eth0', source: '10.244.1.1', onLink: false};
    expect(at({routes: [...right.routes.filter(({destination}) => destination !== plain.destination), plain]}).ip).toEqual(['route replace 10.244.2.0/24 via 10.244.2.0 dev hm-wg onlink proto 244']);
  });

  it('speaks the words of wg', () => {
    expect(parseDump(`secret\t${own}\t51820\toff\n${theirs}\t(none)\t10.200.0.12:51820\t10.244.2.0/24,10.244.9.0/24\t1700000000\t1\t2\toff\n${others}\t(none)\t(none)\t(none)\t0\t0\t0\toff\n`)).toEqual({
      key: own, port: 51_820,
      peers: [{key: theirs, endpoint: '10.200.0.12:51820', ranges: ['10.244.2.0/24', '10.244.9.0/24'], handshake: 1_700_000_000_000}, {key: others, endpoint: '(none)', ranges: ['(none)'], handshake: 0}],
    });
    expect(parseDump('')).toBeUndefined();
    expect(configOf({...settings, peers: settings.peers.slice(0, 1)}, 'secret')).toBe(`[Interface]\nPrivateKey = secret\nListenPort = 51820\n[Peer]\nPublicKey = ${theirs}\nEndpoint = 10.200.0.12:51820\nAllowedIPs = 10.244.2.0/24\n`);
  });
});
