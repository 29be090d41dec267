import fc from 'fast-check';
import {contains, formatAddress, formatCidr, gatewayOf, overlaps, parseAddress, parseCidr, partAt, partsOf, sizeOf} from './cidr.ts';

const address = fc.nat(2 ** 32 - 1);
const range = fc.tuple(address, fc.integer({min: 0, max: 32})).map(([value, prefix]) => ({base: value - (value % sizeOf(prefix)), prefix}));

describe('IPv4 ranges', () => {
  it('are read as they are written', () => {
    fc.assert(fc.property(address, range, (value, one) => {
      expect(parseAddress(formatAddress(value))).toBe(value);
      expect(parseCidr(formatCidr(one))).toEqual(one);
    }));
  });

  it.each(['', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.4 ', '-1.2.3.4', '1.2.3.4/24/1', '1.2.3.4/33', '1.2.3.4/24', '1.2.3.0/', '::1/64'])('are not %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it('hold what a look at each address says that they hold', () => {
    fc.assert(fc.property(range, address, (one, value) => {
      expect(contains(one, value)).toBe(Math.floor(value / sizeOf(one.prefix)) === one.base / sizeOf(one.prefix));
    }));
  });

  it('are cut into parts that touch and do not overlap', () => {
    fc.assert(fc.property(range, fc.integer({min: 0, max: 6}), (one, more) => {
      const prefix = Math.min(32, one.prefix + more);
      const parts = Array.from({length: partsOf(one, prefix)}, (_, index) => partAt(one, prefix, index));
      expect(parts).toHaveLength(2 ** (prefix - one.prefix));
      expect(parts[0]?.base).toBe(one.base);
      parts.forEach((part, index) => {
        expect(contains(one, part)).toBe(true);
        if (index > 0) expect(part.base - parts[index - 1]!.base).toBe(sizeOf(prefix));
        if (index > 0) expect(overlaps(part, parts[index - 1]!)).toBe(false);
      });
    }));
  });

  it('have the gateway first', () => {
    expect(gatewayOf(parseCidr('10.244.3.0/24')!)).toBe('10.244.3.1');
  });
});
