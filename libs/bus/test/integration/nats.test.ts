import {freePort, startNats, waitFor, type NatsServer} from '@hivemind/testkit';
import {connectNatsBus} from '../../src/index.ts';
import {codeOf} from '../../src/testing/observe.ts';
import {busContract} from '../../src/testing/index.ts';

let server: NatsServer;

busContract('nats', async () => {
  server = await startNats();
  let count = 0;
  return {
    connect: () => connectNatsBus({servers: server.url, name: `contract-${++count}`}),
    stop: () => server.stop(),
  };
});

describe('nats driver', () => {
  it('says at once that nothing is there, or that the credentials are refused', async () => {
    const port = await freePort();
    expect(await codeOf(connectNatsBus({servers: `nats://127.0.0.1:${port}`, name: 'none'}))).toBe('disconnected');
    const guarded = await startNats({token: 'right'});
    expect(await codeOf(connectNatsBus({servers: guarded.url, name: 'wrong', token: 'wrong'}))).toBe('not-permitted');
    const bus = await connectNatsBus({servers: guarded.url, name: 'right', token: 'right'});
    await bus.close();
    await guarded.stop();
  });

  it('fails what waits when the server goes, says so, and goes on when it is back', async () => {
    const nats = await startNats();
    const servers = nats.url;
    const [left, right] = await Promise.all([connectNatsBus({servers, name: 'left'}), connectNatsBus({servers, name: 'right'})]);
    const statuses: string[] = [];
    left.onStatus((status) => statuses.push(status));
    const backAgain: string[] = [];
    right.onStatus((status) => backAgain.push(status));
    const asked = Promise.withResolvers<void>();
    await right.respond('hang', async (_message, {signal}) => {
      asked.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve, {once: true}));
    });
    await right.respond('echo', async ({data}) => data);
    const waiting = codeOf(left.request('hang', null, {timeoutMs: 2_000}));
    await asked.promise;
    await nats.terminate();
    expect(await waiting).toBe('disconnected');
    expect(await codeOf(left.publish('x', 1))).toBe('disconnected');
    await nats.start();
    await waitFor(() => statuses.includes('connected') && backAgain.includes('connected'), {what: 'both buses to be connected again'});
    expect(statuses).toEqual(['disconnected', 'connected']);
    expect(await left.request('echo', 'again')).toBe('again');
    await Promise.all([left.close(), right.close()]);
    await nats.stop();
  });

  it('ends a stream whose other side died without a word', async () => {
    const nats = await startNats();
    const bus = await connectNatsBus({servers: nats.url, name: 'left', streamKeepAliveMs: 20});
    // A peer that opens like one of us, then says nothing more.
    const {connect, headers} = await import('nats');
    const raw = await connect({servers: nats.url});
    const served = Promise.withResolvers<string>();
    await bus.serveStreams('shell', async (stream) => served.resolve(await codeOf(stream.write(new Uint8Array(1)))));
    const reply = await raw.request('hivemind.stream.shell', JSON.stringify({address: 'nobody', params: null}), {timeout: 2_000, headers: headers()});
    const {address} = JSON.parse(reply.string());
    raw.publish(address, Uint8Array.from([6, 0, 0, 0, 0]));
    expect(await served.promise).toBe('disconnected');
    await raw.close();
    await bus.close();
    await nats.stop();
  });

  it('refuses what the credentials do not permit', async () => {
    const config = 'authorization {users: [{user: all, password: p}, {user: few, password: p, permissions: {publish: ["hivemind.req.mine.>", "_INBOX.>"], subscribe: ["_INBOX.>"]}}]}';
    const nats = await startNats({config});
    const [all, few] = await Promise.all(['all', 'few'].map((user) => connectNatsBus({servers: nats.url, name: user, user, pass: 'p'})));
    await all?.respond('>', async () => 'answered');
    expect(await few?.request('mine.a', null)).toBe('answered');
    expect(await codeOf(few?.request('others.a', null, {timeoutMs: 5_000}) ?? Promise.resolve())).toBe('not-permitted');
    expect(await codeOf(few?.subscribe('others.a', () => undefined) ?? Promise.resolve())).toBe('not-permitted');
    await Promise.all([all?.close(), few?.close()]);
    await nats.stop();
  });
});
