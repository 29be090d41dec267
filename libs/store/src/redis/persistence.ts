/** Whether Redis keeps what it acknowledges: every write on disk first, and nothing evicted. */
import type {Redis} from 'ioredis';
import * as z from 'zod';
import {storeErrors} from '../errors.ts';

const REQUIRED = [
  {setting: 'appendonly', value: 'yes', otherwise: 'writes are not logged to disk'},
  {setting: 'appendfsync', value: 'always', otherwise: 'acknowledged writes of the last moments are lost when it crashes'},
  {setting: 'maxmemory-policy', value: 'noeviction', otherwise: 'records are thrown away when memory is short'},
] as const;

const Setting = z.tuple([z.string(), z.string()]);

/** Answers what is weaker than required, in words. Rejects with `weak-persistence` where that is not allowed. */
export async function persistenceWarnings(redis: Redis, allowed: boolean): Promise<string[]> {
  const warnings: string[] = [];
  for (const {setting, value, otherwise} of REQUIRED) {
    const found = await readSetting(redis, setting);
    if (found !== value) warnings.push(`Redis has ${setting} ${found}, not ${value}: ${otherwise}.`);
  }
  if (warnings.length > 0 && !allowed) {
    throw storeErrors['weak-persistence'](`${warnings.join(' ')} Change it with CONFIG SET and in redis.conf, or allow weak persistence.`);
  }
  return warnings;
}

/**
 * With Sentinels: whether a primary that is cut off stops taking writes, which the one promoted in its place will never have.
 * Answers and rejects as above.
 */
export async function replicationWarnings(redis: Redis, allowed: boolean): Promise<string[]> {
  const found = await readSetting(redis, 'min-replicas-to-write');
  if (Number(found) >= 1) return [];
  const warning = `Redis has min-replicas-to-write ${found}, not 1: a primary that is cut off goes on taking writes, and a failover forgets them.`;
  if (!allowed) throw storeErrors['weak-persistence'](`${warning} Change it with CONFIG SET and in redis.conf of every server, or allow weak persistence.`);
  return [warning];
}

async function readSetting(redis: Redis, setting: string): Promise<string> {
  try {
    return Setting.parse(await redis.call('CONFIG', 'GET', setting))[1];
  } catch (error) {
    // Hosted servers forbid CONFIG: what cannot be seen is not trusted.
    if (error instanceof Error && /^(ERR|NOPERM)/.test(error.message)) return 'unknown';
    throw error;
  }
}
