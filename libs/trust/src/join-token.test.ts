import fc from 'fast-check';
import {isSecret, newJoinToken, parseJoinToken, secretHash} from './index.ts';

const hash = 'A'.repeat(43);

describe('a join token', () => {
  it('carries an id, a secret and the hash of the authority, and fits one word of a shell', () => {
    const {token, ...parts} = newJoinToken(hash);
    expect(token).toMatch(/^[\w.-]+$/);
    expect(parseJoinToken(` ${token}\n`)).toEqual(parts);
    expect(newJoinToken(hash).secret).not.toBe(parts.secret);
  });

  it('is known by the hash of its secret', () => {
    const {secret} = newJoinToken(hash);
    expect(isSecret(secret, secretHash(secret))).toBe(true);
    expect(isSecret(`${secret.slice(0, -1)}~`, secretHash(secret))).toBe(false);
    expect(isSecret(secret, 'short')).toBe(false);
  });

  it('is refused when any of it is missing or is something else', () => {
    const {token} = newJoinToken(hash);
    const refusal = expect.objectContaining({code: 'join-token-malformed', errors: [expect.objectContaining({path: 'token'})]});
    for (let end = 0; end < token.length; end++) expect(() => parseJoinToken(token.slice(0, end))).toThrow(refusal);
    fc.assert(fc.property(fc.string(), (text) => {
      expect(() => parseJoinToken(text)).toThrow(refusal);
    }));
  });
});
