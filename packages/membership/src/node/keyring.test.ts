import {encodePacket, decodePacket} from '../wire/index.ts';
import {Keyring} from './keyring.ts';

const a = Buffer.alloc(16, 1);
const b = Buffer.alloc(24, 2);
const c = Buffer.alloc(32, 3);
const nack = {type: 'nack', seq: 1} as const;

describe('a keyring', () => {
  it('sends with the first key and reads with all', () => {
    const both = new Keyring([a, b]);
    const one = new Keyring([a]);
    const other = new Keyring([b]);
    expect(decodePacket(encodePacket([nack], both), one).messages).toEqual([nack]);
    expect(decodePacket(encodePacket([nack], both), other).drops).toEqual(['no-key']);
    expect(decodePacket(encodePacket([nack], other), both).messages).toEqual([nack]);
  });

  it('is rotated without a moment in which members do not hear each other', () => {
    const rings = [new Keyring([a]), new Keyring([a])] as const;
    const hear = (): boolean => rings.every((from) => rings.every((to) => decodePacket(encodePacket([nack], from), to).messages.length === 1));
    const steps = [
      (ring: Keyring) => ring.install(c),
      (ring: Keyring) => ring.use(ring.list()[1] ?? ring.list()[0] ?? ''),
      (ring: Keyring) => ring.remove(ring.list()[1] ?? ''),
    ];
    for (const step of steps) {
      for (const ring of rings) {
        step(ring);
        expect(hear()).toBe(true);
      }
    }
    expect(rings[0].list()).toEqual(new Keyring([c]).list());
  });

  it('shows fingerprints, never keys', () => {
    expect(new Keyring([a, b]).list()).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/), expect.stringMatching(/^[0-9a-f]{8}$/)]);
  });

  it('refuses what it cannot do, and changes nothing', () => {
    const ring = new Keyring([a, b]);
    const before = ring.list();
    const [primary = '', second = ''] = before;
    expect(() => ring.install(Buffer.alloc(15))).toThrow(expect.objectContaining({code: 'key-invalid'}));
    expect(() => ring.remove(primary)).toThrow(expect.objectContaining({code: 'key-in-use'}));
    expect(() => ring.remove('00000000')).toThrow(expect.objectContaining({code: 'key-unknown'}));
    expect(() => ring.use('00000000')).toThrow(expect.objectContaining({code: 'key-unknown'}));
    expect(() => new Keyring([])).toThrow(expect.objectContaining({code: 'key-invalid'}));
    expect(ring.list()).toEqual(before);
    ring.install(b);
    expect(ring.list()).toEqual([primary, second]);
  });

  it('holds a bounded number, as each is tried on every packet', () => {
    const ring = new Keyring([a]);
    for (let n = 2; n <= 8; n += 1) ring.install(Buffer.alloc(16, n));
    expect(() => ring.install(Buffer.alloc(16, 9))).toThrow(expect.objectContaining({code: 'key-invalid'}));
  });
});
