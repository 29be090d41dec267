import {portKey, readExposed, readPort} from './ports.ts';

describe('ports', () => {
  it.each([
    ['80', [{container: 80, host: 0, protocol: 'tcp'}]],
    [80, [{container: 80, host: 0, protocol: 'tcp'}]],
    ['8080:80', [{container: 80, host: 8080, protocol: 'tcp'}]],
    ['53:53/udp', [{container: 53, host: 53, protocol: 'udp'}]],
    ['127.0.0.1:8001:8001', [{container: 8001, host: 8001, protocol: 'tcp', address: '127.0.0.1'}]],
    ['127.0.0.1::5000', [{container: 5000, host: 0, protocol: 'tcp', address: '127.0.0.1'}]],
    ['0.0.0.0:80:80', [{container: 80, host: 80, protocol: 'tcp'}]],
    ['[::1]:80:80', [{container: 80, host: 80, protocol: 'tcp', address: '::1'}]],
    ['3000-3002', [3000, 3001, 3002].map((container) => ({container, host: 0, protocol: 'tcp'}))],
    ['9090-9091:8080-8081', [{container: 8080, host: 9090, protocol: 'tcp'}, {container: 8081, host: 9091, protocol: 'tcp'}]],
    ['8000-8009:80', [{container: 80, host: '8000-8009', protocol: 'tcp'}]],
    ['127.0.0.1:5000-5001:5000-5001/udp', [5000, 5001].map((port) => ({container: port, host: port, protocol: 'udp', address: '127.0.0.1'}))],
    [{target: 80}, [{container: 80, host: 0, protocol: 'tcp'}]],
    [{target: 80, published: '8080', protocol: 'tcp'}, [{container: 80, host: 8080, protocol: 'tcp'}]],
    [{target: 80, published: '8080-8090', host_ip: '127.0.0.1', name: 'web'}, [{container: 80, host: '8080-8090', protocol: 'tcp', address: '127.0.0.1', name: 'web'}]],
  ])('%j', (written, ports) => {
    expect(readPort(written)).toEqual({ports});
  });

  it.each([
    ['web'], [''], ['80:'], ['99999:80'], ['0'], ['80:70000'], ['90-80:80-90'], ['8000-8005:80-82'], ['80/sctp'], ['1.2.3:80:80'], ['-1:80'], ['80:80:80:80'],
  ])('%j is refused', (written) => {
    expect(readPort(written)).toHaveProperty('problem');
  });

  it('exposes without publishing', () => {
    expect(readExposed('3000-3001')).toEqual({ports: [{container: 3000, protocol: 'tcp'}, {container: 3001, protocol: 'tcp'}]});
    expect(readExposed('80:80')).toHaveProperty('problem');
  });

  it('knows a port again, however it is written', () => {
    expect(portKey({target: 80, published: '8080'})).toBe(portKey('8080:80'));
    expect(portKey('8080:80/udp')).not.toBe(portKey('8080:80'));
  });
});
