import {existsSync} from 'node:fs';
import {Redis} from 'ioredis';
import {connect} from 'nats';
import {startNats, startRedis} from './index.ts';

const running = (pid: number) => existsSync(`/proc/${pid}`);

describe('startRedis', () => {
  it('serves as durably as production asks and is gone after stop', async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    expect(await client.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    client.disconnect();
    const {pid, dir} = server;
    await server.stop();
    await server.stop();
    expect([running(pid), existsSync(dir)]).toEqual([false, false]);
  });

  it('keeps what was acknowledged over a kill, on the same port', async () => {
    await using server = await startRedis({password: 's3cret/'});
    const before = new Redis(server.url);
    await before.set('k', 'v');
    before.disconnect();
    const {pid, port} = server;
    await server.kill();
    expect(running(pid)).toBe(false);
    await server.start();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    const after = new Redis(server.url);
    expect(await after.get('k')).toBe('v');
    after.disconnect();
  });

  it('says which package and why when it cannot start', async () => {
    await expect(startRedis({args: ['--no-such-setting', '1']})).rejects.toThrow(/redis-server[\s\S]*no-such-setting/);
  });
});

describe('startNats', () => {
  it('serves, refuses a wrong token, and is gone after stop', async () => {
    const server = await startNats({token: 't0ken'});
    await expect(connect({servers: server.url, token: 'wrong'})).rejects.toThrow(/Authorization/);
    const client = await connect({servers: server.url, token: 't0ken'});
    await client.flush();
    await client.close();
    const {pid, dir} = server;
    await server.stop();
    expect([running(pid), existsSync(dir)]).toEqual([false, false]);
  });

  it('takes a configuration file', async () => {
    await using server = await startNats({config: 'max_payload: 1234'});
    const client = await connect({servers: server.url});
    expect(client.info?.max_payload).toBe(1234);
    await client.close();
  });
});
