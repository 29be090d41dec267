import {parseSpec, specText} from './spec-text.ts';

it('of what has no limit is the number that the kernel takes for that, and back', () => {
  const spec = {process: {rlimits: [{type: 'RLIMIT_MEMLOCK', soft: -1, hard: -1}, {type: 'RLIMIT_NOFILE', soft: 1024, hard: -1}], oomScoreAdj: -1, env: ['A="soft":-1']}};
  const text = specText(spec);
  expect(text).toContain('{"type":"RLIMIT_MEMLOCK","soft":18446744073709551615,"hard":18446744073709551615},{"type":"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615}');
  expect(text).toContain('"oomScoreAdj":-1');
  expect(parseSpec(text)).toEqual(spec);
});
