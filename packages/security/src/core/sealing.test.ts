import {createDecipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject} from 'node:crypto';
import {openAtRest, sealAtRest, sealForTransit} from './sealing.ts';

const key = Buffer.alloc(32, 1);
const nonce = Buffer.alloc(12, 2);
const PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

describe('at rest', () => {
  const sealed = sealAtRest(key, nonce, 'secrets/default/db', 'hunter2');

  it('opens with the same key and place', () => {
    expect(openAtRest(key, 'secrets/default/db', sealed)).toBe('hunter2');
    expect(Buffer.from(sealed, 'base64').toString('latin1')).not.toContain('hunter2');
  });

  it('keeps its format: what is in stores must stay readable', () => {
    expect(sealed).toBe('AQICAgICAgICAgICAm+jpz0vJfMQLM5JskmLmdQPLEGCBGDi');
  });

  it('opens neither with another key, nor in another place, nor when any byte was changed', () => {
    expect(openAtRest(Buffer.alloc(32, 3), 'secrets/default/db', sealed)).toBeUndefined();
    expect(openAtRest(key, 'secrets/default/other', sealed)).toBeUndefined();
    const bytes = Buffer.from(sealed, 'base64');
    for (const index of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(openAtRest(key, 'secrets/default/db', changed.toString('base64'))).toBeUndefined();
    }
    for (const length of [0, 1, 20, bytes.length - 1]) expect(openAtRest(key, 'secrets/default/db', bytes.subarray(0, length).toString('base64'))).toBeUndefined();
  });
});

describe('in transit', () => {
  it('is opened by whoever asked', () => {
    const pair = generateKeyPairSync('x25519');
    const sealed = sealForTransit(raw(pair.publicKey), Buffer.alloc(32, 5), nonce, 'hunter2');
    expect(sealed && openTransit(pair.privateKey, sealed)).toBe('hunter2');
  });

  it('is opened by nobody else', () => {
    const sealed = sealForTransit(raw(generateKeyPairSync('x25519').publicKey), Buffer.alloc(32, 5), nonce, 'hunter2');
    const other = generateKeyPairSync('x25519').privateKey;
    expect(() => sealed && openTransit(other, sealed)).toThrow();
  });

  it.each([
    ['too short', Buffer.alloc(31, 1)],
    ['too long', Buffer.alloc(33, 1)],
    ['a point from which anyone could tell the key', Buffer.alloc(32, 0)],
    ['nothing', Buffer.alloc(0)],
  ])('refuses a public key that is %s', (_what, bytes) => {
    expect(sealForTransit(bytes.toString('base64'), Buffer.alloc(32, 5), nonce, 'hunter2')).toBeUndefined();
  });
});

function raw(publicKey: KeyObject): string {
  return publicKey.export({format: 'der', type: 'spki'}).subarray(PREFIX.length).toString('base64');
}

/** As the agent does it. */
function openTransit(privateKey: KeyObject, {publicKey, nonce: iv, sealed}: {publicKey: string; nonce: string; sealed: string}): string {
  const theirs = createPublicKey({key: Buffer.concat([PREFIX, Buffer.from(publicKey, 'base64')]), format: 'der', type: 'spki'});
  const derived = Buffer.from(hkdfSync('sha256', diffieHellman({privateKey, publicKey: theirs}), Buffer.alloc(0), 'hivemind.secrets', 32));
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', derived, Buffer.from(iv, 'base64'), {authTagLength: 16});
  decipher.setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8');
}
