import {Patience} from './nats-patience.ts';

it('asks who is away again and again, and who refuses it less and less often', () => {
  const patience = new Patience(() => 0);
  const waits = Array.from({length: 9}, () => {
    patience.refused();
    return patience.waitMs();
  });
  expect(waits).toEqual([300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 30_000, 30_000]);
  expect(patience.refusals).toBe(9);
  patience.accepted();
  expect([patience.refusals, patience.waitMs()]).toEqual([0, 300]);
});

it('does not come at once with all others, nor changes its mind while it waits', () => {
  let drawn = 0;
  const patience = new Patience(() => (drawn++ % 2 === 0 ? 1 : 0.5));
  expect([patience.waitMs(), patience.waitMs()]).toEqual([240, 240]);
  patience.accepted();
  expect(patience.waitMs()).toBe(270);
});
