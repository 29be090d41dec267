import {createEmbeddedBus} from '../drivers/embedded.ts';
import {codeOf, eventually} from './observe.ts';
import {lossy, type LossyOptions} from './lossy.ts';

/** What a subscriber sees of the messages 0 to 199, and a sentinel sent after healing. */
async function observe(options: LossyOptions): Promise<{seen: unknown[]; losses: unknown}> {
  const bus = lossy(createEmbeddedBus(), options);
  const seen: unknown[] = [];
  await bus.subscribe('n', ({data}) => void seen.push(data));
  for (let index = 0; index < 200; index++) await bus.publish('n', index);
  bus.heal();
  const expected = 200 - bus.losses.dropped + bus.losses.doubled;
  await eventually(() => seen.length === expected);
  await bus.publish('n', 'healed');
  await eventually(() => seen.includes('healed'));
  await bus.close();
  return {seen, losses: {...bus.losses}};
}

describe('lossy bus', () => {
  it('drops, doubles and delays, so that messages overtake each other', async () => {
    const {seen, losses} = await observe({seed: 1});
    const numbers = seen.filter((item): item is number => typeof item === 'number');
    expect(new Set(numbers).size).toBeLessThan(200);
    expect(numbers.length).toBeGreaterThan(new Set(numbers).size);
    expect(numbers).not.toEqual(numbers.toSorted((a, b) => a - b));
    expect(losses).toMatchObject({timedOut: 0});
  });

  it('misbehaves the same way for the same seed', async () => {
    const [first, again, other] = await Promise.all([1, 1, 2].map((seed) => observe({seed})));
    expect(again?.losses).toEqual(first?.losses);
    expect(again?.seen.toSorted()).toEqual(first?.seen.toSorted());
    expect(other?.seen.toSorted()).not.toEqual(first?.seen.toSorted());
  });

  it('loses nothing where the probabilities are zero', async () => {
    const {seen} = await observe({seed: 1, drop: 0, double: 0, delay: 0});
    expect(seen).toEqual([...Array.from({length: 200}, (_, index) => index), 'healed']);
  });

  it('lets requests time out, some of them after they were served, until it is healed', async () => {
    const bus = lossy(createEmbeddedBus(), {seed: 3, requestTimeout: 0.5});
    let served = 0;
    await bus.respond('r', async () => ++served);
    const codes: string[] = [];
    for (let index = 0; index < 40; index++) codes.push(await codeOf(bus.request('r', null)));
    const answered = codes.filter((code) => code === 'none').length;
    expect(codes.filter((code) => code === 'timeout').length).toBe(40 - answered);
    expect(answered).toBeGreaterThan(0);
    expect(served).toBeGreaterThan(answered);
    expect(served).toBeLessThan(40);
    bus.heal();
    for (let index = 0; index < 40; index++) expect(await codeOf(bus.request('r', null))).toBe('none');
    await bus.close();
  });
});
