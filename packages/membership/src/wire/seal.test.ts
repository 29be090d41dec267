import {createCipheriv, createSecretKey} from 'node:crypto';
import {open, seal} from './seal.ts';

const key = createSecretKey(Buffer.alloc(16, 1));
const plain = Buffer.from('hello');

/** As the first version of the protocol seals: padded to the block. */
function sealPadded(text: Buffer, padding = 16 - (text.length % 16)): Buffer {
  const nonce = Buffer.alloc(12, 5);
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  const body = Buffer.concat([cipher.update(Buffer.concat([text, Buffer.alloc(padding === 0 ? 0 : 16 - (text.length % 16), padding)])), cipher.final()]);
  return Buffer.concat([Buffer.of(0), nonce, body, cipher.getAuthTag()]);
}

describe('sealing', () => {
  it.each([16, 24, 32])('works with keys of %i bytes', (length) => {
    const own = createSecretKey(Buffer.alloc(length, 2));
    expect(open([own], seal(own, plain))).toEqual(plain);
  });

  it('never uses a nonce twice', () => {
    const nonces = Array.from({length: 2000}, () => seal(key, plain).subarray(1, 13).toString('hex'));
    expect(new Set(nonces).size).toBe(2000);
  });

  it('opens what is bound to other bytes only with them', () => {
    const sealed = seal(key, plain, Buffer.from('header'));
    expect(open([key], sealed, Buffer.from('header'))).toEqual(plain);
    expect(open([key], sealed, Buffer.from('other'))).toBeUndefined();
    expect(open([key], sealed)).toBeUndefined();
  });

  it('reads the padded first version, and refuses padding that cannot be', () => {
    expect(open([key], sealPadded(plain))).toEqual(plain);
    expect(open([key], sealPadded(plain, 200))).toBeUndefined();
    expect(open([key], sealPadded(Buffer.alloc(0), 0))).toBeUndefined();
  });

  it('refuses what is too short or of another version', () => {
    expect(open([key], Buffer.alloc(28, 1))).toBeUndefined();
    expect(open([key], Buffer.concat([Buffer.of(2), seal(key, plain).subarray(1)]))).toBeUndefined();
  });
});
