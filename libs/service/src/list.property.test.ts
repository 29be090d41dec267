import fc from 'fast-check';
import * as z from 'zod';
import {listQuery, listReply} from './index.ts';

const Item = z.object({name: z.string(), namespace: z.string(), spec: z.object({weight: z.union([z.number(), z.string()]).optional()})});
const Query = listQuery({item: Item});
const revision = {epoch: 'e', n: 1};
const items = fc.uniqueArray(
  fc.record({name: fc.string({maxLength: 3}), namespace: fc.constantFrom('a', 'b'), spec: fc.record({weight: fc.option(fc.oneof(fc.integer({min: -3, max: 3}), fc.string({maxLength: 1})), {nil: undefined})})}),
  {selector: ({name, namespace}) => `${namespace}/${name}`, maxLength: 30},
);

const pages = fc.record({limit: fc.integer({min: 1, max: 7}).map(String), sort: fc.constantFrom('name', 'weight', 'namespace'), order: fc.constantFrom('asc', 'desc')});

it('pages hold every item once, in the order of one large page', () => {
  fc.assert(fc.property(items, pages, (all, query) => {
    const whole = listReply(all, Query.parse({...query, namespace: '*', limit: '1000'}), revision).items;
    const paged: unknown[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = listReply(all, Query.parse({...query, namespace: '*', ...(cursor === undefined ? {} : {cursor})}), revision);
      expect(page.items.length).toBeLessThanOrEqual(Number(query.limit));
      paged.push(...page.items);
      cursor = page.next;
    }
    expect(paged).toEqual(whole);
    expect(new Set(paged)).toEqual(new Set(all));
  }));
});

it('an item removed between two pages hides no other', () => {
  fc.assert(fc.property(items, pages, fc.nat(), (all, query, choice) => {
    const first = listReply(all, Query.parse({...query, namespace: '*'}), revision);
    if (first.next === null) return;
    const removed = all[choice % all.length];
    const left = all.filter((item) => item !== removed);
    const rest = listReply(left, Query.parse({...query, namespace: '*', limit: '1000', cursor: first.next}), revision).items;
    expect(new Set([...first.items, ...rest].filter((item) => item !== removed))).toEqual(new Set(left));
  }));
});
