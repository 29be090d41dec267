import {takenRange} from './taken-ranges.ts';

const ranges = ['10.244.0.0/16', '10.96.0.0/16'];
const of = (...routes: object[]) => takenRange(JSON.stringify(routes), ranges);

describe('ranges of the cluster', () => {
  it('are taken where another leads into them, by all or a part', () => {
    expect(of({dst: 'default', dev: 'eth0'}, {dst: '10.244.0.0/24', dev: 'cni0', protocol: 'kernel'})).toEqual({range: '10.244.0.0/16', route: '10.244.0.0/24', device: 'cni0'});
    expect(of({dst: '10.96.0.0/16', dev: 'tun0'})).toEqual({range: '10.96.0.0/16', route: '10.96.0.0/16', device: 'tun0'});
    expect(of({dst: '10.244.7.9', dev: 'wg0'})).toMatchObject({route: '10.244.7.9'});
  });

  it('are not by our own, by wider routes, by others beside them, nor by none', () => {
    expect(of({dst: '10.244.1.0/24', dev: 'hm0', protocol: 'kernel'}, {dst: '10.244.2.0/24', dev: 'hm-vx', protocol: '244'}, {dst: '10.244.3.0/24', dev: 'eth0', protocol: '244'}, {dst: '10.96.0.0/16', dev: 'lo', protocol: '244'})).toBeUndefined();
    expect(of({dst: '10.0.0.0/8', dev: 'eth0'}, {dst: '172.17.0.0/16', dev: 'docker0'}, {dst: 'default', dev: 'eth0'})).toBeUndefined();
    expect(takenRange('', ranges)).toBeUndefined();
  });
});
