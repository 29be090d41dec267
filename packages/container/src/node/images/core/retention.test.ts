import fc from 'fast-check';
import {type HeldImage, isOld, removable} from './retention.ts';

const image = (name: string, usedAt: number): HeldImage => ({name, id: `id-${name}`, usedAt});
const none: ReadonlySet<string> = new Set();

it('the longest unused goes first; what is used, wanted or fresh stays', () => {
  const images = [image('fresh', 950), image('young', 700), image('old', 100), image('used', 0), image('wanted', 0)];
  expect(removable({images, used: new Set(['id-used']), wanted: new Set(['wanted'])}, {minAgeMs: 100}, 1000).map(({name}) => name)).toEqual(['old', 'young']);
  expect(images.filter((each) => isOld(each, {minAgeMs: 0, maxAgeMs: 300}, 1000)).map(({name}) => name)).toEqual(['young', 'old', 'used', 'wanted']);
  expect(isOld(image('old', 0), {minAgeMs: 0}, 1e12)).toBe(false);
});

it('never gives up what is used, wanted or fresh, and keeps the order, whatever there is', () => {
  const names: fc.Arbitrary<string> = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  fc.assert(fc.property(fc.uniqueArray(fc.record({name: names, usedAt: fc.nat(1000)}), {selector: ({name}) => name}), fc.array(names), fc.array(names), fc.nat(500), (held, used, wanted, minAgeMs) => {
    const images = held.map(({name, usedAt}) => image(name, usedAt));
    const gone = removable({images, used: new Set(used.map((name) => `id-${name}`)), wanted: new Set(wanted)}, {minAgeMs}, 1000);
    expect(gone.every(({name, usedAt}) => !used.includes(name) && !wanted.includes(name) && 1000 - usedAt >= minAgeMs)).toBe(true);
    expect(gone.map(({usedAt}) => usedAt)).toEqual(gone.map(({usedAt}) => usedAt).toSorted((a, b) => a - b));
    expect(removable({images, used: none, wanted: none}, {minAgeMs: 0}, 1000)).toHaveLength(images.length);
  }));
});
