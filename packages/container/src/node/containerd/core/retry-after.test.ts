import {retryAfterMs} from './retry-after.ts';

const date = 'Wed, 21 Oct 2026 07:28:00 GMT';

it.each([
  [{'retry-after': '3'}, 3000],
  [{'retry-after': '0', date}, 0],
  [{'retry-after': 'Wed, 21 Oct 2026 07:28:05 GMT', date}, 5000],
  [{'retry-after': 'Wed, 21 Oct 2026 07:27:00 GMT', date}, 0],
  [{'retry-after': 'Wed, 21 Oct 2026 07:28:05 GMT'}, undefined],
  [{'retry-after': 'soon', date}, undefined],
  [{date}, undefined],
  [{}, undefined],
])('%j is %s ms', (headers, ms) => {
  expect(retryAfterMs(headers)).toBe(ms);
});
