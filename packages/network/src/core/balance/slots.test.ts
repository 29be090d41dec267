import {slotsByHash, slotsInTurn, type Weighted} from './slots.ts';

const counted = (slots: readonly Weighted[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const {id} of slots) counts[id] = (counts[id] ?? 0) + 1;
  return counts;
};
const some = (count: number, weight = (_: number) => 100): readonly Weighted[] => Array.from({length: count}, (_, index) => ({id: `c${index}`, weight: weight(index)}));

describe('slots in turn', () => {
  it('are one each where all weigh the same', () => {
    expect(slotsInTurn(some(3)).map(({id}) => id)).toEqual(['c0', 'c1', 'c2']);
  });

  it('spread the heavy ones out', () => {
    expect(slotsInTurn([{id: 'a', weight: 75}, {id: 'b', weight: 25}]).map(({id}) => id).join('')).toBe('aaba');
  });

  it('keep to the weights, and leave nobody out where they do not fit', () => {
    expect(counted(slotsInTurn([{id: 'a', weight: 100}, {id: 'b', weight: 35}, {id: 'c', weight: 5}]))).toEqual({a: 20, b: 7, c: 1});
    const many = slotsInTurn(some(900, (index) => (index % 2 === 0 ? 100 : 5)));
    expect(Object.keys(counted(many))).toHaveLength(900);
    expect(many.length).toBeLessThanOrEqual(2 * 1024);
  });
});

describe('slots by the client', () => {
  it('are about as many as the weights say', () => {
    const counts = counted(slotsByHash([{id: 'a', weight: 75}, {id: 'b', weight: 25}]));
    expect(counts.a).toBeGreaterThan(256 * 0.65);
    expect(counts.b).toBeGreaterThan(256 * 0.15);
  });

  it('move only from who goes, and only to who comes', () => {
    const [before, without, more] = [slotsByHash(some(5)), slotsByHash(some(5).filter(({id}) => id !== 'c2')), slotsByHash(some(6))];
    before.forEach(({id}, slot) => {
      if (id !== 'c2') expect(without[slot]!.id).toBe(id);
      if (more[slot]!.id !== id) expect(more[slot]!.id).toBe('c5');
    });
  });
});
