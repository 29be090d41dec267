import {type Bus, createEmbeddedBus} from '@hivemind/bus';
import {FakeClock} from '@hivemind/controller/testing';
import {seekBus} from './bus-connection.ts';

const quiet = {info: () => undefined, warn: () => undefined};

describe('the way to the bus', () => {
  let clock: FakeClock;
  let linked: string[];
  beforeEach(() => {
    clock = new FakeClock();
    linked = [];
  });

  const seek = (connect: () => Promise<Bus>, begin: () => Promise<void> = async () => undefined) =>
    seekBus({connect, logger: quiet, setTimer: (callback, ms) => clock.setTimer(callback, ms), onBus: async () => {
      await begin();
      linked.push('begun');
      return {stop: async () => void linked.push('ended')};
    }});

  it('is tried until it is found, then begun on once, and ended with it', async () => {
    let attempts = 0;
    const connection = seek(async () => {
      if (++attempts < 4) throw new Error('away');
      return createEmbeddedBus();
    });
    expect(connection.state()).toBe('away');
    await clock.advance(250 + 500 + 1_000);
    expect([attempts, connection.state(), linked]).toEqual([4, 'connected', ['begun']]);
    await connection.stop();
    expect(linked).toEqual(['begun', 'ended']);
  });

  it('is tried again when what it is wanted for cannot begin', async () => {
    let failures = 0;
    const connection = seek(async () => createEmbeddedBus(), async () => {
      if (failures++ === 0) throw new Error('not permitted');
    });
    await clock.advance(0);
    expect(connection.state()).toBe('away');
    await clock.advance(250);
    expect([connection.state(), linked]).toEqual(['connected', ['begun']]);
    await connection.stop();
  });

  it('leaves nothing behind when it is stopped before it was found', async () => {
    const found = Promise.withResolvers<Bus>();
    const connection = seek(() => found.promise);
    await connection.stop();
    const bus = createEmbeddedBus();
    found.resolve(bus);
    await clock.advance(0);
    expect(linked).toEqual([]);
    await expect(bus.publish('a', {})).rejects.toMatchObject({code: 'closed'});
    expect(clock.pending).toBe(0);
  });

  it('leaves nothing behind when it is stopped while it is begun on', async () => {
    const beginning = Promise.withResolvers<void>();
    const connection = seek(async () => createEmbeddedBus(), () => beginning.promise);
    await clock.advance(0);
    await connection.stop();
    beginning.resolve();
    await clock.advance(0);
    expect(linked).toEqual(['begun', 'ended']);
  });
});
