import {busErrors} from './errors.ts';
import {LateTransport} from './late-transport.ts';
import {eventually} from './testing/observe.ts';
import type {Transport} from './transport.ts';

/** A connection that is lost and found as the test says; a subscription is refused while it is lost. */
class Flaky {
  connected = true;
  readonly subscribed: string[] = [];
  #tell: (status: 'connected' | 'disconnected') => void = () => undefined;

  readonly transport: Transport = {
    publish: () => undefined,
    request: () => Promise.reject(busErrors.timeout('Nobody is asked here.')),
    carrier: () => Promise.reject(busErrors.disconnected('There are no streams here.')),
    close: async () => undefined,
    onStatus: (listener) => {
      this.#tell = listener;
      return () => undefined;
    },
    subscribe: async (pattern) => {
      if (pattern === 'secret') throw busErrors['not-permitted']('No.');
      if (!this.connected) throw busErrors.disconnected('A subscription cannot be reached.');
      this.subscribed.push(pattern);
      return async () => void this.subscribed.splice(this.subscribed.indexOf(pattern), 1);
    },
  };

  set(connected: boolean): void {
    this.connected = connected;
    this.#tell(connected ? 'connected' : 'disconnected');
  }
}

const nothing = (): void => undefined;

describe('a bus that may be away', () => {
  let flaky: Flaky;
  let late: LateTransport;
  beforeEach(async () => {
    flaky = new Flaky();
    late = new LateTransport(async () => flaky.transport, undefined);
    await late.tried();
  });
  afterEach(() => late.close());

  it('subscribes when it is there again, where it was lost meanwhile', async () => {
    flaky.set(false);
    const stop = await late.subscribe('a', undefined, nothing);
    expect(flaky.subscribed).toEqual([]);
    flaky.set(true);
    await eventually(() => flaky.subscribed.length === 1);
    flaky.set(false);
    flaky.set(true);
    await late.subscribe('b', undefined, nothing);
    expect(flaky.subscribed).toEqual(['a', 'b']);
    await stop();
    expect(flaky.subscribed).toEqual(['b']);
  });

  it('subscribes not at all where that was given up before', async () => {
    flaky.set(false);
    const stop = await late.subscribe('a', undefined, nothing);
    await stop();
    flaky.set(true);
    await late.subscribe('b', undefined, nothing);
    expect(flaky.subscribed).toEqual(['b']);
  });

  it('refuses what will not be permitted later either', async () => {
    await expect(late.subscribe('secret', undefined, nothing)).rejects.toMatchObject({code: 'not-permitted'});
  });
});
