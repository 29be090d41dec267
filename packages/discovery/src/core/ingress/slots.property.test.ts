import fc from 'fast-check';
import {assign, type Server, type Slots} from './slots.ts';

const servers = fc.uniqueArray(fc.integer({min: 0, max: 60}), {maxLength: 40}).map((ids) => ids.map((id): Server => ({container: `c${id}`, address: `10.0.0.${id + 1}`, port: 80, weight: 100})));
const present = (slots: Slots): readonly string[] => slots.flatMap((slot) => slot?.container ?? []);

describe('places for containers', () => {
  it('hold each container once, whatever came before; who has one keeps it while the number stays', () => {
    fc.assert(fc.property(fc.array(servers, {minLength: 1, maxLength: 12}), (history) => {
      let slots: Slots = [];
      for (const now of history) {
        const before = slots;
        slots = assign(before, now);
        expect(present(slots).toSorted()).toEqual(now.map(({container}) => container).toSorted());
        for (const [index, slot] of slots.entries()) {
          const earlier = before.findIndex((one) => one?.container === slot?.container && slot !== null);
          if (earlier >= 0 && earlier < slots.length) expect(index).toBe(earlier);
        }
      }
    }));
  });

  it('grow before they are full and shrink late: a container more or less is no reload', () => {
    const some = (count: number): readonly Server[] => Array.from({length: count}, (_, id) => ({container: `c${id}`, address: `10.0.0.${id + 1}`, port: 80, weight: 100}));
    const counts = [0, 3, 8, 9, 12, 16, 17, 5, 3, 40, 1].map(((slots: Slots) => (count: number) => (slots = assign(slots, some(count))).length)([]));
    expect(counts).toEqual([8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 8]);
  });

  it('that were left are taken last: requests may still be under way there', () => {
    const [a, b] = ['a', 'b'].map((container): Server => ({container, address: '10.0.0.1', port: 80, weight: 100}));
    expect(assign([a!, ...Array.from({length: 7}, () => null)], [b!]).indexOf(b!)).toBe(1);
  });
});
