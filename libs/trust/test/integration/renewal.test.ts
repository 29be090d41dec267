/** Credentials that are replaced while the bus is used, against a real server; and a bus that is not there yet. */
import {call, connectNatsBus, open, serve, serveStream, type Bus, type CredentialSource} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import {waitFor} from '@hivemind/testkit';
import {nodeInbox} from '../../src/node.ts';
import {createNodeKey, startTrustedNats, type TrustedNats} from '../../src/testing/index.ts';

const to = {node: 'a'};

describe('a machine\'s connection to the bus', () => {
  let nats: TrustedNats;
  let manager: Bus;
  const key = createNodeKey();
  let listener: () => void;
  let issued: string[];

  beforeAll(async () => {
    nats = await startTrustedNats();
    manager = await nats.connect(nats.serviceOptions('manager'));
    await serve(manager, subjects.heartbeat, {}, async () => ({heartbeatMs: 500}));
  });
  beforeEach(() => {
    issued = [];
  });
  afterAll(() => nats.stop());

  /** Gives a JWT of `ttlMs` at every connect. */
  const source = (ttlMs: number): CredentialSource => ({
    current() {
      const {jwt} = nats.trust.nodeJwt({name: 'a', nkey: key.nkey, now: Date.now(), ttlMs});
      issued.push(jwt);
      return {jwt, seed: key.seed};
    },
    onRenewed(told) {
      listener = told;
      return () => undefined;
    },
  });
  const connect = (ttlMs: number, more: object = {}): Promise<Bus> => connectNatsBus({servers: nats.server.url, name: 'node a', inboxPrefix: nodeInbox('a'), credentials: source(ttlMs), ...more});
  const beat = (bus: Bus) => call(bus, subjects.heartbeat, to, {session: 1});
  /** The connection was made anew, and is there. */
  const renewed = async (statuses: readonly string[]) => waitFor(() => statuses.at(-1) === 'connected', {what: 'a new connection'});

  it('is made anew with new credentials, and not before what it was asked is answered', async () => {
    const bus = await connect(3_600_000);
    const statuses: string[] = [];
    bus.onStatus((status) => statuses.push(status));
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    await serve(bus, subjects.getStats, to, async () => {
      asked.resolve();
      await answer.promise;
      return {stats: []};
    });
    const waiting = call(manager, subjects.getStats, to, {ids: []});
    await asked.promise;
    const before = issued.length;
    listener();
    expect(await beat(bus)).toEqual({heartbeatMs: 500});
    expect([statuses, issued.length]).toEqual([[], before]);
    answer.resolve();
    expect(await waiting).toEqual({stats: []});
    await renewed(statuses);
    expect(issued.length).toBeGreaterThan(before);
    expect(await beat(bus)).toEqual({heartbeatMs: 500});
    expect(await call(manager, subjects.getStats, to, {ids: []})).toEqual({stats: []});
    await bus.close();
  });

  it('lets a stream that is open run on while the rest is made anew', async () => {
    const bus = await connect(3_600_000);
    const statuses: string[] = [];
    bus.onStatus((status) => statuses.push(status));
    await serveStream(bus, subjects.execStream, to, async (stream) => {
      for await (const chunk of stream.readable) await stream.write(chunk);
    });
    const stream = await open(manager, subjects.execStream, to, {id: 'x', command: ['cat']});
    const back = stream.readable[Symbol.asyncIterator]();
    await stream.write(Buffer.from('one'));
    expect(Buffer.from((await back.next()).value).toString()).toBe('one');
    listener();
    await renewed(statuses);
    await stream.write(Buffer.from('two'));
    expect(Buffer.from((await back.next()).value).toString()).toBe('two');
    await stream.end();
    await stream.closed;
    await bus.close();
  });

  it('comes back by itself with newer ones when they ran out', async () => {
    const bus = await connect(2_000);
    const statuses: string[] = [];
    bus.onStatus((status) => statuses.push(status));
    await waitFor(() => statuses.join() === 'disconnected,connected', {what: 'the server to end it, and it to be back'});
    expect(await beat(bus)).toEqual({heartbeatMs: 500});
    await bus.close();
  });

  it('is there as soon as the bus is, where that is away at first', async () => {
    await nats.server.terminate();
    const bus = await connect(3_600_000, {mayBeAway: true});
    const statuses: string[] = [];
    bus.onStatus((status) => statuses.push(status));
    await expect(beat(bus)).rejects.toMatchObject({code: 'disconnected'});
    await serve(bus, subjects.getStats, to, async () => ({stats: []}));
    const never = await serve(bus, subjects.listImages, to, async () => ({images: []}));
    await never.unsubscribe();
    await nats.server.start();
    await waitFor(() => statuses.includes('connected'), {what: 'the bus to be reached'});
    expect(await waitFor(() => beat(bus).catch(() => undefined), {what: 'the manager to be back'})).toEqual({heartbeatMs: 500});
    expect(await call(manager, subjects.getStats, to, {ids: []})).toEqual({stats: []});
    await expect(call(manager, subjects.listImages, to, {})).rejects.toMatchObject({code: 'no-responders'});
    await bus.close();
  });

  it('ends when it is closed before the bus was ever there', async () => {
    await nats.server.terminate();
    const bus = await connect(3_600_000, {mayBeAway: true});
    await bus.close();
    await expect(beat(bus)).rejects.toMatchObject({code: 'closed'});
    await nats.server.start();
  });
});
