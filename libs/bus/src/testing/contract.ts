/** What every driver of the bus must do. Run it with `busContract(name, makeFixture)` in a test file of the driver. */
import {setTimeout as delay} from 'node:timers/promises';
import {busErrors} from '../errors.ts';
import {codeOf, eventually, eventuallyCode} from './observe.ts';
import {streamContract} from './stream-contract.ts';
import {subjectContract} from './subject-contract.ts';
import type {Bus, Message} from '../bus.ts';

export interface BusFixture {
  /** Another bus that hears the ones made before. */
  connect(): Promise<Bus>;
  stop(): Promise<void>;
}

const big = 'x'.repeat(512 * 1024);

export function busContract(name: string, makeFixture: () => Promise<BusFixture>): void {
  describe(`bus contract: ${name}`, () => {
    let fixture: BusFixture;
    let left: Bus;
    let right: Bus;

    beforeAll(async () => {
      fixture = await makeFixture();
    });
    afterAll(() => fixture.stop());
    beforeEach(async () => {
      left = await fixture.connect();
      right = await fixture.connect();
    });
    afterEach(() => Promise.all([left.close(), right.close()]));

    const buses = (): {left: Bus; right: Bus} => ({left, right});
    messages(buses);
    requests(buses);
    subjectContract(buses);
    closing(buses, () => fixture.connect());
    streamContract(buses);
  });
}

type Buses = () => {left: Bus; right: Bus};

function messages(buses: Buses): void {
  describe('messages', () => {
    it('arrive with their subject, data and headers, as copies', async () => {
      const {left, right} = buses();
      const seen: Message[] = [];
      await right.subscribe('a.b', (message) => void seen.push(message));
      const data = {list: [1, null, 'é'], gone: undefined};
      await left.publish('a.b', data, {trace: '1-2 3'});
      await eventually(() => seen.length === 1);
      expect(seen).toEqual([{subject: 'a.b', data: {list: [1, null, 'é']}, headers: {trace: '1-2 3'}}]);
      expect(Object.keys(Object(seen[0]?.data))).toEqual(['list']);
    });

    it('never run the handler on the publisher\'s stack', async () => {
      const {left} = buses();
      const order: string[] = [];
      await left.subscribe('stack', () => void order.push('handled'));
      const published = left.publish('stack', 1);
      order.push('published');
      await published;
      await eventually(() => order.length === 2);
      expect(order).toEqual(['published', 'handled']);
    });

    it.each([
      ['a.*', ['a.x'], ['a', 'a.x.y', 'b.x']],
      ['a.>', ['a.x', 'a.x.y'], ['a', 'b.x']],
      ['*.x.*', ['a.x.b'], ['a.x', 'x.x', 'a.y.b']],
      ['>', ['a', 'a.x.y'], []],
    ])('pattern %s', async (pattern, hits, misses) => {
      const {left, right} = buses();
      const seen: string[] = [];
      await right.subscribe(pattern, ({subject}) => void seen.push(subject));
      for (const subject of [...misses, ...hits]) await left.publish(subject, null);
      await eventually(() => seen.length === hits.length);
      await left.publish(hits[0] ?? '', 'last');
      await eventually(() => seen.length > hits.length);
      expect(seen).toEqual([...hits, hits[0]]);
    });

    it('of one subscription are handled in order, one at a time, and a handler that throws loses only its own', async () => {
      const {left, right} = buses();
      const handled: unknown[] = [];
      let running = 0;
      let most = 0;
      await right.subscribe('order', async ({data}) => {
        most = Math.max(most, ++running);
        await delay(0);
        running--;
        if (data === 3) throw new Error('three');
        handled.push(data);
      });
      const sent = Array.from({length: 50}, (_, index) => index);
      for (const index of sent) await left.publish('order', index);
      await eventually(() => handled.length === 49);
      expect(handled).toEqual(sent.filter((index) => index !== 3));
      expect(most).toBe(1);
    });

    it('go to one member of each queue group, and to every plain subscriber', async () => {
      const {left, right} = buses();
      const counts = {a: 0, b: 0, other: 0, plain: 0};
      await left.subscribe('job', () => void counts.a++, {queue: 'workers'});
      await right.subscribe('job', () => void counts.b++, {queue: 'workers'});
      await right.subscribe('job', () => void counts.other++, {queue: 'others'});
      await right.subscribe('*', () => void counts.plain++);
      for (let index = 0; index < 100; index++) await left.publish('job', index);
      await eventually(() => counts.other === 100 && counts.plain === 100 && counts.a + counts.b === 100);
      expect(counts.a).toBeGreaterThan(0);
      expect(counts.b).toBeGreaterThan(0);
    });

    it('stop after unsubscribe', async () => {
      const {left, right} = buses();
      const seen: unknown[] = [];
      const subscription = await right.subscribe('stop', ({data}) => void seen.push(data));
      await right.subscribe('stop', ({data}) => void seen.push(['other', data]));
      await subscription.unsubscribe();
      await left.publish('stop', 1);
      await eventually(() => seen.length > 0);
      expect(seen).toEqual([['other', 1]]);
    });

    it('are refused over 512 KiB, on bad subjects and with bad headers', async () => {
      const {left} = buses();
      expect(await codeOf(left.publish('large', big))).toBe('too-large');
      expect(await codeOf(left.publish('large', big.slice(2)))).toBe('none');
      for (const subject of ['', 'a..b', 'a.*', 'a.>', 'a b', '.a']) expect(await codeOf(left.publish(subject, 1))).toBe('invalid-subject');
      for (const pattern of ['', 'a.>.b', 'a.b*', 'a..b']) expect(await codeOf(left.subscribe(pattern, () => undefined))).toBe('invalid-subject');
      for (const value of ['', ' x', 'a\r\nb', 'é']) expect(await codeOf(left.publish('a', 1, {h: value}))).toBe('invalid-message');
    });
  });
}

function requests(buses: Buses): void {
  describe('requests', () => {
    it('are answered', async () => {
      const {left, right} = buses();
      await right.respond('echo.*', async ({subject, data, headers}) => ({subject, data, headers}));
      expect(await left.request('echo.x', {n: 1}, {headers: {who: 'me'}})).toEqual({subject: 'echo.x', data: {n: 1}, headers: {who: 'me'}});
    });

    it('answer null where the handler answers nothing', async () => {
      const {left, right} = buses();
      await right.respond('nothing', async () => undefined);
      expect(await left.request('nothing', undefined)).toBeNull();
    });

    it('are served many at once', async () => {
      const {left, right} = buses();
      const all = Promise.withResolvers<void>();
      let running = 0;
      await right.respond('meet', async () => {
        if (++running === 10) all.resolve();
        await all.promise;
        return running;
      });
      const answers = await Promise.all(Array.from({length: 10}, () => left.request('meet', null)));
      expect(answers).toEqual(Array(10).fill(10));
    });

    it('carry the error with its code, status, detail and fields', async () => {
      const {left, right} = buses();
      const errors = [{path: 'spec.image', message: 'is missing'}];
      await right.respond('refuse', async () => {
        throw busErrors['too-large']('Far too large.', {errors, retryAfterMs: 1500});
      });
      await expect(left.request('refuse', null)).rejects.toMatchObject({
        name: 'HivemindError',
        code: 'too-large',
        status: 413,
        title: 'The message is too large',
        message: 'Far too large.',
        errors,
        retryAfterMs: 1500,
      });
    });

    it('show nothing of an unknown exception but that there was one', async () => {
      const {left, right} = buses();
      await right.respond('break', async () => {
        throw new Error('password=hunter2');
      });
      const error = await left.request('break', null).catch((failure: unknown) => failure);
      expect(error).toMatchObject({code: 'internal', status: 500});
      expect(String(error)).not.toContain('hunter2');
    });

    it('fail at once when nobody responds, also when somebody subscribes', async () => {
      const {left, right} = buses();
      await right.subscribe('lonely', () => undefined);
      expect(await codeOf(left.request('lonely', null, {timeoutMs: 60_000}))).toBe('no-responders');
    });

    it('fail at their deadline, which the handler knows', async () => {
      const {left, right} = buses();
      const expired = Promise.withResolvers<{leftMs: number; reason: unknown}>();
      const release = Promise.withResolvers<void>();
      await right.respond('slow', async (_message, {deadline, signal}) => {
        const leftMs = deadline - Date.now();
        signal.addEventListener('abort', () => expired.resolve({leftMs, reason: signal.reason}), {once: true});
        await release.promise;
      });
      expect(await codeOf(left.request('slow', null, {timeoutMs: 50}))).toBe('timeout');
      const {leftMs, reason} = await expired.promise;
      expect(leftMs).toBeLessThanOrEqual(50);
      expect(reason).toMatchObject({code: 'timeout'});
      release.resolve();
    });

    it('can be cancelled', async () => {
      const {left, right} = buses();
      const release = Promise.withResolvers<void>();
      await right.respond('hang', () => release.promise);
      const controller = new AbortController();
      const answer = codeOf(left.request('hang', null, {signal: controller.signal}));
      controller.abort();
      expect(await answer).toBe('cancelled');
      expect(await codeOf(left.request('hang', null, {signal: controller.signal}))).toBe('cancelled');
      release.resolve();
    });

    it('and answers are refused over 512 KiB', async () => {
      const {left, right} = buses();
      await right.respond('large', async () => big);
      expect(await codeOf(left.request('large', big))).toBe('too-large');
      expect(await codeOf(left.request('large', null))).toBe('too-large');
    });

    it('share the work in a queue group', async () => {
      const {left, right} = buses();
      await left.respond('work', async () => 'left', {queue: 'q'});
      await right.respond('work', async () => 'right', {queue: 'q'});
      const answers = await Promise.all(Array.from({length: 64}, () => left.request('work', null)));
      expect(new Set(answers)).toEqual(new Set(['left', 'right']));
    });

    it('are not lost when a member leaves its queue group', async () => {
      const {left, right} = buses();
      await left.respond('leave', async () => 'left', {queue: 'q'});
      const leaving = await right.respond('leave', async () => 'right', {queue: 'q'});
      const ask = (): Promise<unknown> => left.request('leave', null);
      const answers = Array.from({length: 100}, ask);
      const first = await Promise.race(answers);
      await leaving.unsubscribe();
      expect(['left', 'right']).toContain(first);
      expect((await Promise.all(answers)).every((who) => who === 'left' || who === 'right')).toBe(true);
      expect(await Promise.all(Array.from({length: 20}, ask))).toEqual(Array(20).fill('left'));
    });
  });
}

function closing(buses: Buses, connect: () => Promise<Bus>): void {
  describe('close', () => {
    it('finishes what is in hand, takes nothing new, and is the same the second time', async () => {
      const {left} = buses();
      const bus = await connect();
      const reached = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      await bus.respond('last', async () => {
        reached.resolve();
        await release.promise;
        return 'done';
      });
      await bus.respond('probe', async () => 'open');
      const answer = left.request('last', null);
      await reached.promise;
      const closed = bus.close();
      await eventuallyCode(() => left.request('probe', null), 'no-responders');
      release.resolve();
      expect(await answer).toBe('done');
      await Promise.all([closed, bus.close()]);
      expect(await codeOf(bus.request('last', null))).toBe('closed');
      expect(await codeOf(bus.publish('last', null))).toBe('closed');
      expect(await codeOf(bus.subscribe('last', () => undefined))).toBe('closed');
      expect(await codeOf(bus.openStream('last', null))).toBe('closed');
    });

    it('cancels streams', async () => {
      const {left} = buses();
      const bus = await connect();
      await bus.serveStreams('held', async (stream) => {
        await stream.write(Buffer.from('x'));
        await stream.closed;
      });
      const stream = await left.openStream('held', null);
      const chunks = stream.readable[Symbol.asyncIterator]();
      await chunks.next();
      await bus.close();
      expect(await codeOf(stream.closed)).toBe('closed');
    });
  });
}
