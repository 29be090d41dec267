/** Where Redis is: one server by its URL, or whichever of a set its Sentinels call the primary. */
import type {RedisOptions} from 'ioredis';
import {commonErrors} from '@hivemind/contracts';

export type RedisAddress =
  | {readonly kind: 'server'; readonly url: string}
  | {
      readonly kind: 'sentinel';
      readonly options: Pick<RedisOptions, 'sentinels' | 'name' | 'username' | 'password' | 'sentinelUsername' | 'sentinelPassword' | 'db' | 'tls' | 'enableTLSForSentinelMode'>;
    };

const SENTINEL_PORT = 26_379;
const FORM = 'redis-sentinel://[user:password@]host[:26379],host2…/PRIMARY[?db=N&sentinelPassword=P&tls=true]';

/**
 * `redis://…` and `rediss://…` as ioredis reads them; `redis-sentinel://` in the form above. The user and password are the
 * servers'; the Sentinels' own is given apart.
 *
 * @throws `invalid-input` which names what is wrong, never the password
 */
export function redisAddress(url: string): RedisAddress {
  if (/^rediss?:\/\//.test(url)) return {kind: 'server', url};
  const parts = /^redis-sentinel:\/\/(?:([^@/]*)@)?([^/?]+)\/([^/?]+)(?:\?(.*))?$/.exec(url);
  if (!parts) throw invalid('it is none of redis://, rediss:// and redis-sentinel:// with hosts and the name of the primary');
  const [, credentials = '', hosts = '', name = '', query = ''] = parts;
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) if (!['db', 'sentinelUsername', 'sentinelPassword', 'tls'].includes(key)) throw invalid(`${key} is no parameter of it`);
  const db = Number(parameters.get('db') ?? 0);
  if (!Number.isInteger(db) || db < 0) throw invalid('db is a number from 0');
  const colon = credentials.indexOf(':');
  const [user, password] = colon < 0 ? [credentials, ''] : [credentials.slice(0, colon), credentials.slice(colon + 1)];
  const tls = parameters.get('tls') === 'true';
  return {
    kind: 'sentinel',
    options: {
      sentinels: hosts.split(',').map(readHost),
      name: decodeURIComponent(name),
      db,
      ...present('username', decodeURIComponent(user)),
      ...present('password', decodeURIComponent(password)),
      ...present('sentinelUsername', parameters.get('sentinelUsername') ?? ''),
      ...present('sentinelPassword', parameters.get('sentinelPassword') ?? ''),
      ...(tls ? {tls: {}, enableTLSForSentinelMode: true} : {}),
    },
  };
}

function readHost(text: string): {host: string; port: number} {
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(parts?.[2] ?? SENTINEL_PORT);
  if (!parts?.[1] || port < 1 || port > 65_535) throw invalid(`${JSON.stringify(text)} is no host:port of a Sentinel`);
  return {host: parts[1].replace(/^\[|\]$/g, ''), port};
}

function present<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  return value === '' ? {} : ({[key]: value} as Record<K, string>);
}

function invalid(what: string): Error {
  return commonErrors['invalid-input'](`The store's address cannot be read: ${what}. Write redis://host:port, or ${FORM}.`);
}
