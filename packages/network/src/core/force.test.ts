import {NetworkSpec, type NetworkView} from '@hivemind/contracts';
import {decide} from './force.ts';

const spec = NetworkSpec.parse({backend: 'vxlan'});
const self = {node: 'm1', address: '10.0.0.1', subnet: '10.244.1.0/24'};
const peers = [{node: 'm2', address: '10.0.0.2', subnet: '10.244.2.0/24'}];
const virtualIps = '10.96.0.0/16';
const view: NetworkView = {spec, self, peers, virtualIps};
const none: NetworkView = {spec: NetworkSpec.parse({backend: 'none'}), self: null, peers: [], virtualIps};
const inForce = {view: {spec, peers, virtualIps}, self};

describe('what is in force on a machine', () => {
  it.each([
    ['what it is told, where it has nothing', view, undefined, 0, {inForce, open: true, because: ''}],
    ['nothing, where nothing is wanted', none, undefined, 0, {inForce: undefined, open: false}],
    ['nothing any more, when the last address is free', none, inForce, 0, {inForce: undefined, open: false}],
    ['what containers have addresses of, though nothing is wanted', none, inForce, 2, {inForce, open: false, because: expect.stringContaining('2 containers')}],
    ['another part, when no address is taken', {...view, self: {...self, subnet: '10.244.7.0/24'}}, inForce, 0, {inForce: {self: {subnet: '10.244.7.0/24'}}, open: true}],
    ['the part that containers have addresses of, with the peers of now', {...view, peers: [], self: {...self, subnet: '10.244.7.0/24'}}, inForce, 1, {inForce: {self, view: {peers: []}}, open: false, because: expect.stringContaining('drain')}],
    ['the virtual IPs of now', {...view, virtualIps: '10.99.0.0/16', self: {...self, subnet: '10.244.7.0/24'}}, inForce, 1, {inForce: {self, view: {virtualIps: '10.99.0.0/16'}}}],
    ['the peers of now', {...view, peers: []}, inForce, 5, {inForce: {self, view: {peers: []}}, open: true, because: ''}],
  ])('is %s', (_, latest, before, addresses, expected) => {
    expect(decide(latest, before, addresses)).toMatchObject(expected);
  });
});
