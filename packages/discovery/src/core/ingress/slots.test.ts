import {countOf, placeName, targetKey, targetOfPlace} from './slots.ts';

describe('places for containers', () => {
  it('grow before they are full and shrink late: a container more or less is no reload', () => {
    let before = 0;
    expect([0, 3, 8, 9, 12, 16, 17, 5, 3, 40, 1].map((wanted) => (before = countOf(wanted, before)))).toEqual([8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 8]);
  });

  it('say by their name whose they are', () => {
    for (const target of [{namespace: 'shop', app: 'web'}, {namespace: 'shop', app: 'web', port: 'http'}, {namespace: 'shop', app: 'web-2', port: 80}]) expect(targetOfPlace('shop.site.12', placeName(target, 3))).toBe(targetKey(target));
  });
});
