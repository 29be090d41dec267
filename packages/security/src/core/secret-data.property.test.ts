import fc from 'fast-check';
import {dataErrors, encode, isSame, merge} from './secret-data.ts';

const values = fc.dictionary(fc.string({minLength: 1, maxLength: 8}).filter((key) => key !== '__proto__'), fc.string());

it('keeps every value, byte for byte', () => {
  fc.assert(fc.property(values, (data) => {
    const encoded = encode(data, 'text');
    expect(Object.fromEntries(Object.entries(encoded).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]))).toEqual(
      Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('utf8')])));
    expect(dataErrors(encoded, 'base64')).toEqual([]);
    expect(encode(encoded, 'base64')).toEqual(encoded);
  }));
});

it('merges like a JSON merge patch', () => {
  const patches = fc.dictionary(fc.string({minLength: 1, maxLength: 3}).filter((key) => key !== '__proto__'), fc.option(fc.string()));
  fc.assert(fc.property(values, patches, (data, patch) => {
    const after = merge(encode(data, 'text'), patch, 'text');
    const model = {...data, ...patch};
    const wanted = encode(Object.fromEntries(Object.entries(model).filter((entry): entry is [string, string] => entry[1] !== null)), 'text');
    expect(after).toEqual(wanted);
    expect(isSame(after, wanted)).toBe(true);
  }));
});
