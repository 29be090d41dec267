/** A short run of the fault suite: `npm run test:faults` runs long ones. */
import {runCampaign} from './campaign.ts';
import {faultText} from './schedule.ts';

it('keeps every promise while things go wrong', async () => {
  const lines: string[] = [];
  const {violations, faults, changes} = await runCampaign({seed: 11, durationMs: 20_000, services: 'together', tell: (line) => lines.push(line)});
  // The schedule so far is what the run can be had again by.
  expect([...violations, ...(violations.length === 0 ? [] : [...lines, ...faults.map(faultText)])]).toEqual([]);
  expect(faults.length).toBeGreaterThan(2);
  expect(changes).toBeGreaterThan(3);
}, 400_000);
