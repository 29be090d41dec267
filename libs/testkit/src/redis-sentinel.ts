import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {firstReply, startRedis, type RedisServer} from './redis.ts';
import {startServer} from './server.ts';
import {waitFor} from './wait.ts';

export interface RedisSet extends AsyncDisposable {
  /** `redis-sentinel://127.0.0.1:port/main` */
  readonly url: string;
  /** The first began as the primary, the second as its replica. */
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

/**
 * A primary, a replica and a Sentinel on loopback. After half a second of silence the Sentinel promotes the replica, which
 * takes writes once the other is back as its replica. One Sentinel decides alone: what is tested is the client, not the vote.
 */
export async function startRedisSet(): Promise<RedisSet> {
  const running: {stop(): Promise<void>}[] = [];
  const stop = async (): Promise<void> => {
    for (const server of running.splice(0).toReversed()) await server.stop();
  };
  try {
    const durable = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '2', '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    const primary = await startRedis({args: durable});
    running.push(primary);
    const replica = await startRedis({args: [...durable, '--replicaof', '127.0.0.1', `${primary.port}`]});
    running.push(replica);
    await waitFor(() => firstReply(primary.port, 'WAIT 1 1000\r\n', /^:1/), {what: 'the replica to follow', deadlineMs: 20_000});
    const sentinel = await startServer({
      name: 'redis-sentinel',
      debianPackage: 'redis-server',
      command: 'redis-server',
      args: ({port, dir}) => {
        const path = join(dir, 'sentinel.conf');
        writeFileSync(path, [
          `port ${port}`, 'bind 127.0.0.1', `dir ${dir}`,
          `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
          'sentinel down-after-milliseconds main 500', 'sentinel failover-timeout main 3000',
        ].join('\n'));
        return [path, '--sentinel'];
      },
      ready: ({port}) => firstReply(port, 'SENTINEL replicas main\r\n', /^\*1\r\n/),
    });
    running.push(sentinel);
    return {url: `redis-sentinel://127.0.0.1:${sentinel.port}/main`, servers: [primary, replica], stop, [Symbol.asyncDispose]: stop};
  } catch (error) {
    await stop();
    throw error;
  }
}
