import {Worker} from 'node:worker_threads';
import {waitFor} from '@hivemind/testkit';
import {keepTenants, restartPause, type Tenant, type Tenants} from './tenants.ts';

const forever = 'setInterval(() => undefined, 1e6); require("node:worker_threads").parentPort.on("message", (what) => { if (what === "fail") throw new Error("broken"); if (what === "stall") for (;;); })';

describe('tenants of the process', () => {
  let tenants: Tenants | undefined;
  const logged: unknown[] = [];
  const options = {logger: {error: (fields: unknown) => void logged.push(fields), info: () => undefined}, now: () => performance.now(), setTimer: (callback: () => void, ms: number) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }};
  afterEach(() => tenants?.stop());

  /** A tenant, and the threads it was given so far. */
  function tenant(name: string): Tenant & {readonly threads: Worker[]} {
    const threads: Worker[] = [];
    return {
      name, threads,
      launch() {
        const worker = new Worker(forever, {eval: true});
        threads.push(worker);
        return worker;
      },
    };
  }

  it('one that dies is started again, and the others do not notice', async () => {
    const [a, b] = [tenant('a'), tenant('b')];
    const kept = (tenants = keepTenants([a, b], options));
    a.threads[0]?.postMessage('fail');
    await waitFor(() => a.threads.length === 2, {what: 'another thread'});
    expect(kept.status()).toEqual({a: {running: true, restarts: 1}, b: {running: true, restarts: 0}});
    expect(b.threads).toHaveLength(1);
    expect(logged.at(-1)).toMatchObject({tenant: 'a', pauseMs: 100, err: {message: 'broken'}});
  });

  it('one that stands still is ended with the process', async () => {
    const a = tenant('a');
    const kept = keepTenants([a], options);
    a.threads[0]?.postMessage('stall');
    await kept.stop();
    expect(kept.status()).toEqual({a: {running: false, restarts: 0}});
  });

  it('says farewell before its thread ends, and a farewell that fails keeps nobody', async () => {
    const told: string[] = [];
    const a = {...tenant('a'), leave: async () => void told.push('left'), onEnd: () => void told.push('ended')};
    const b = {...tenant('b'), leave: () => Promise.reject(new Error('nobody listens'))};
    const kept = keepTenants([a, b], options);
    await kept.stop();
    expect(told).toEqual(['left', 'ended']);
    expect(kept.status()).toMatchObject({a: {running: false}, b: {running: false}});
  });

  it('waits longer before each start in a row, up to half a minute', () => {
    expect([1, 2, 3, 9, 10, 1_000_000].map(restartPause)).toEqual([100, 200, 400, 25_600, 30_000, 30_000]);
  });
});
