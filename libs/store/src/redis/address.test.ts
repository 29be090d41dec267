import {redisAddress} from './address.ts';

describe('the address of Redis', () => {
  it('of one server is left to the client', () => {
    for (const url of ['redis://127.0.0.1:6379/2', 'rediss://u:p@redis.example:6380']) expect(redisAddress(url)).toEqual({kind: 'server', url});
  });

  it('of Sentinels names each, the primary, and who logs in where', () => {
    expect(redisAddress('redis-sentinel://hive:s%40fe@s1,s2:26380,[fd00::3]:26381/main?db=3&sentinelPassword=x')).toEqual({
      kind: 'sentinel',
      options: {
        sentinels: [{host: 's1', port: 26_379}, {host: 's2', port: 26_380}, {host: 'fd00::3', port: 26_381}],
        name: 'main', db: 3, username: 'hive', password: 's@fe', sentinelPassword: 'x',
      },
    });
    expect(redisAddress('redis-sentinel://:p@s1/main?tls=true')).toMatchObject({options: {password: 'p', tls: {}, enableTLSForSentinelMode: true}});
  });

  it.each([
    ['http://x', 'none of redis://'],
    ['redis-sentinel://s1', 'the name of the primary'],
    ['redis-sentinel://s1:99999/main', '"s1:99999"'],
    ['redis-sentinel://s1,/main', '""'],
    ['redis-sentinel://s1/main?db=x', 'db is a number'],
    ['redis-sentinel://s1/main?nodes=2', 'nodes is no parameter'],
  ])('%s is refused with what is wrong and how it is written', (url, words) => {
    expect(() => redisAddress(url)).toThrow(expect.objectContaining({code: 'invalid-input', message: expect.stringContaining(words)}));
    expect(() => redisAddress(url)).toThrow(/redis-sentinel:\/\/\[user:password@\]host/);
  });
});
