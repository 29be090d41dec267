import {createUser, fromPublic, fromSeed} from '@nats-io/nkeys';
import fc from 'fast-check';
import {createKeyPair, isSignedBy, isUserKey, keyPairFromSeed, sign} from './nkeys.ts';

describe('keys of the bus', () => {
  it('are those of NATS\'s own library, both ways', () => {
    const ours = createKeyPair('user');
    const theirs = fromSeed(Buffer.from(ours.seed));
    expect(theirs.getPublicKey()).toBe(ours.publicKey);
    expect(fromPublic(ours.publicKey).verify(Buffer.from('text'), Buffer.from(sign(ours, 'text'), 'base64url'))).toBe(true);
    const made = createUser();
    const read = keyPairFromSeed(Buffer.from(made.getSeed()).toString());
    expect(read?.publicKey).toBe(made.getPublicKey());
    expect(isSignedBy(made.getPublicKey(), 'text', Buffer.from(made.sign(Buffer.from('text'))).toString('base64url'))).toBe(true);
    expect([createKeyPair('operator'), createKeyPair('account')].map(({publicKey, seed}) => [publicKey[0], seed.slice(0, 2)])).toEqual([['O', 'SO'], ['A', 'SA']]);
  });

  it('are told from anything else', () => {
    const {publicKey, seed} = createKeyPair('user');
    expect(isUserKey(publicKey)).toBe(true);
    expect(isUserKey(createKeyPair('account').publicKey)).toBe(false);
    expect(isUserKey(seed)).toBe(false);
    expect(keyPairFromSeed(publicKey)).toBeUndefined();
    fc.assert(fc.property(fc.nat({max: 55}), fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'), (place, letter) => {
      const changed = publicKey.slice(0, place) + letter + publicKey.slice(place + 1);
      expect(isUserKey(changed)).toBe(changed === publicKey);
    }));
    fc.assert(fc.property(fc.string(), (text) => {
      expect([isUserKey(text), keyPairFromSeed(text), isSignedBy(text, 'x', 'y'), isSignedBy(publicKey, 'x', text)]).toEqual([false, undefined, false, false]);
    }));
  });
});
