import {freeAddress, freeSubnet, gatewayOf, hardwareAddress} from './ranges.ts';

it('gives a network a range that nobody has', () => {
  expect(freeSubnet([])).toBe('10.192.0.0/22');
  expect(freeSubnet(['10.192.0.0/22', '10.192.5.0/24', '172.17.0.0/16', '0.0.0.0/32'])).toBe('10.192.8.0/22');
  expect(freeSubnet(['10.192.4.0/22', '10.192.0.0/22'])).toBe('10.192.8.0/22');
  expect(freeSubnet(['10.192.3.255'])).toBe('10.192.4.0/22');
  expect(freeSubnet(['10.0.0.0/8'])).toBeUndefined();
});

it('gives a container an address that nobody has, and neither end of the range', () => {
  expect(gatewayOf('10.192.4.0/22')).toBe('10.192.4.1');
  expect(freeAddress('10.192.4.0/22', new Set(['10.192.4.2', '10.192.4.4']))).toBe('10.192.4.3');
  expect(freeAddress('10.1.0.0/30', new Set())).toBe('10.1.0.2');
  expect(freeAddress('10.1.0.0/30', new Set(['10.1.0.2']))).toBeUndefined();
});

it('makes a hardware address of it', () => expect(hardwareAddress('10.192.4.255')).toBe('0a:58:0a:c0:04:ff'));
