import fc from 'fast-check';
import {decodeMetadata, encodeMetadata} from './metadata.ts';

const text = fc.string({maxLength: 20});
const metadata = fc.record({zone: text, agentVersion: text, api: text, tags: fc.dictionary(fc.string({minLength: 1, maxLength: 6}), fc.string({maxLength: 6}), {minKeys: 1, maxKeys: 4})}, {requiredKeys: []});
const encode = (value: string): Uint8Array => new TextEncoder().encode(value);

test('what is encoded is read again', () => {
  fc.assert(fc.property(metadata, (value) => expect(decodeMetadata(encodeMetadata(value))).toEqual(value)));
});

test('no bytes make it throw', () => {
  fc.assert(fc.property(fc.uint8Array({maxLength: 600}), (bytes) => void decodeMetadata(bytes)));
  fc.assert(fc.property(fc.json(), (json) => expect(decodeMetadata(encode(json))).toBeUndefined()));
});

test('fields of a later release are skipped, those of a wrong type left out', () => {
  expect(decodeMetadata(encode('hm1{"z":"a","new":[1],"v":7,"t":{"k":"v","n":1}}'))).toEqual({zone: 'a', tags: {k: 'v'}});
});

test('what is not of this form is undefined', () => {
  for (const foreign of ['', 'hm1', 'hm1[]', 'hm1{', '{"z":"a"}']) expect(decodeMetadata(encode(foreign))).toBeUndefined();
});

test('more than 512 bytes are refused, with the way out', () => {
  expect(() => encodeMetadata({tags: {long: 'x'.repeat(600)}})).toThrow(expect.objectContaining({code: 'metadata-too-large', message: expect.stringMatching(/at most 512.*Shorten/)}));
});
