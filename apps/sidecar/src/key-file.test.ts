import {randomBytes} from 'node:crypto';
import fc from 'fast-check';
import {formatKeyFile, parseKeyFile} from './key-file.ts';

const base64 = (bytes: number) => randomBytes(bytes).toString('base64');

describe('a key file', () => {
  it('is one key a line, in order, whatever stands between', () => {
    const [a, b, c] = [base64(16), base64(24), base64(32)];
    const keys = parseKeyFile(`# the ring's\n\n${a}\n  ${b}  \r\n# old\n${c}`);
    expect(keys.map((key) => Buffer.from(key).toString('base64'))).toEqual([a, b, c]);
  });

  it.each([
    ['', 'it holds no key'],
    ['# nothing\n\n', 'it holds no key'],
    [`${base64(16)}\n\nsecret!\n`, 'line 3 is not base64'],
    [`${base64(32)} ${base64(32)}`, 'line 1 is not base64'],
    [base64(31), 'line 1 is a key of 31 bytes: it takes 16, 24 or 32'],
    // One bit too many: another encoder's mistake, or a letter mistyped.
    [`${'A'.repeat(21)}B==`, 'line 1 is not base64'],
  ])('%j is refused: %s', (text, reason) => {
    expect(() => parseKeyFile(text)).toThrow(reason);
  });

  it('never shows what is on the line', () => {
    expect(() => parseKeyFile('hunter2!')).toThrow(expect.objectContaining({code: 'key-file-invalid', message: expect.not.stringContaining('hunter2')}));
  });

  it('is read as it was written', () => {
    const key = fc.oneof(...[16, 24, 32].map((length) => fc.uint8Array({minLength: length, maxLength: length})));
    fc.assert(fc.property(fc.array(key, {minLength: 1, maxLength: 5}), (keys) => expect(parseKeyFile(formatKeyFile(keys))).toEqual(keys)));
  });
});
