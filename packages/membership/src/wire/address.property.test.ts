import {isIPv4} from 'node:net';
import fc from 'fast-check';
import {addressBytes, addressText, canonicalAddress} from './address.ts';

describe('addresses', () => {
  it('have one text each, and come back from their bytes', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (host) => {
      const bytes = addressBytes(host);
      expect(bytes).toBeDefined();
      const text = addressText(bytes ?? Buffer.alloc(0));
      expect(text).toBe(canonicalAddress(text ?? ''));
    }));
  });

  it('read as a URL reads them, but for IPv4 inside IPv6', () => {
    fc.assert(fc.property(fc.ipV6(), (host) => {
      const text = canonicalAddress(host) ?? '';
      fc.pre(!isIPv4(text));
      expect(`[${text}]`).toBe(new URL(`http://[${host}]`).hostname);
    }), {numRuns: 1000});
  });

  it.each([
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::', '::'],
    ['fe80::1%eth0', undefined],
    ['localhost', undefined],
    ['10.0.0', undefined],
  ])('%s is %s', (host, text) => {
    expect(canonicalAddress(host)).toBe(text);
  });

  it('of other lengths are none', () => {
    expect(addressText(Buffer.alloc(5))).toBeUndefined();
  });
});
