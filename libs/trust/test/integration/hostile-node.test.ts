/** A machine's credentials in the hands of somebody hostile, against a real server: nothing but that machine's own. */
import {call, emit, listen, open, pushAccount, serve, serveStream, type Bus} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import {waitFor} from '@hivemind/testkit';
import {connect, jwtAuthenticator, type NatsConnection} from 'nats';
import {createNodeKey, startTrustedNats, type NodeKey, type TrustedNats} from '../../src/testing/index.ts';

const assignment = {cluster: 'c1', revision: {epoch: 'e', n: 1}, version: 1, containers: [], bodies: [], hold: false};
const a = {node: 'a'};
const b = {node: 'b'};

describe.each([{tls: true}, {tls: false}])('a bus in operator mode, TLS: $tls', ({tls}) => {
  let nats: TrustedNats;
  let manager: Bus;
  let nodeB: Bus;
  let keyA: NodeKey;
  /** What holds A's credentials, without any of our own driver. */
  let hostile: NatsConnection;
  let violations: string[];

  beforeAll(async () => {
    nats = await startTrustedNats({tls});
    keyA = createNodeKey();
    manager = await nats.connect(nats.serviceOptions('app'));
    nodeB = await nats.connect(nats.nodeOptions('b'));
    await serve(manager, subjects.getAssignment, {}, async () => assignment, {queue: 'app'});
    hostile = await raw();
    violations = [];
    void (async () => {
      for await (const {type, data} of hostile.status()) if (type === 'error') violations.push(String(data));
    })();
  });
  afterAll(async () => {
    await hostile?.close();
    await nats?.stop();
  });

  async function raw(): Promise<NatsConnection> {
    const {jwt} = nats.trust.nodeJwt({name: 'a', nkey: keyA.nkey, now: Date.now()});
    return connect({servers: nats.server.url, reconnect: false, inboxPrefix: '_INBOX_a', authenticator: jwtAuthenticator(jwt, Buffer.from(keyA.seed)), ...tlsOptions()});
  }

  /** The library takes a server that is known by its address for localhost; our driver does not. */
  const tlsOptions = () => (nats.tls ? {tls: {...nats.tls, checkServerIdentity: () => undefined}} : {});

  /** Whether the server refuses it, and says so. */
  const refused = async (attempt: () => void): Promise<boolean> => {
    const before = violations.length;
    attempt();
    await hostile.flush();
    return waitFor(() => violations.length > before, {what: 'the server to refuse it'});
  };

  /** Everything that arrives at a subscription, and whether the server refused it. */
  const eavesdrop = async (subject: string): Promise<{heard: string[]; error: string | undefined}> => {
    const heard: string[] = [];
    const verdict: {error: string | undefined} = {error: undefined};
    hostile.subscribe(subject, {callback: (error, message) => (error ? (verdict.error = error.message) : heard.push(message.subject))});
    await hostile.flush();
    return {heard, get error() {
      return verdict.error;
    }};
  };

  it('lets a machine do its work: ask, be asked, hear, and stream both ways', async () => {
    const node = await nats.connect(nats.nodeOptions('a2'));
    const to = {node: 'a2'};
    expect(await call(node, subjects.getAssignment, to, {session: 1})).toMatchObject(assignment);
    const heard = Promise.withResolvers<number>();
    await listen(node, subjects.assignmentChanged, to, ({version}) => heard.resolve(version));
    await emit(manager, subjects.assignmentChanged, to, {version: 7});
    expect(await heard.promise).toBe(7);
    await serve(node, subjects.getStats, to, async () => ({stats: []}));
    expect(await call(manager, subjects.getStats, to, {ids: []})).toEqual({stats: []});
    await serveStream(node, subjects.execStream, to, async (stream) => {
      for await (const chunk of stream.readable) await stream.write(chunk);
      await stream.send({exitCode: 3});
    });
    const stream = await open(manager, subjects.execStream, to, {id: 'x', command: ['cat']});
    await stream.write(Buffer.from('over and back'));
    await stream.end();
    const back: Uint8Array[] = [];
    for await (const chunk of stream.readable) back.push(chunk);
    expect(Buffer.concat(back).toString()).toBe('over and back');
    for await (const control of stream.controls) expect(control).toEqual({exitCode: 3});
  });

  it.each(['>', 'hivemind.>', 'hivemind.msg.assignment.b.*', 'hivemind.msg.assignment.*.changed', 'hivemind.req.container.b.exec', 'hivemind.stream.>', '_INBOX.>', '_INBOX_b.>', '_INBOX_*.>', '$SYS.>'])(
    'lets it hear nothing on %s', async (subject) => {
      const ear = await eavesdrop(subject);
      await waitFor(() => ear.error !== undefined, {what: 'the server to refuse it'});
      expect(ear.error).toMatch(/permissions violation/i);
      await emit(manager, subjects.assignmentChanged, b, {version: 1});
      await call(nodeB, subjects.getAssignment, b, {session: 1});
      await hostile.flush();
      expect(ear.heard).toEqual([]);
    });

  it.each(['hivemind.req.assignment.b.get', 'hivemind.req.node.b.heartbeat', 'hivemind.req.node.b.credentials', 'hivemind.req.container.b.status', 'hivemind.req.security.secrets.b', 'hivemind.msg.assignment.b.changed', 'hivemind.msg.discovery.changed', 'hivemind.req.discovery.b.names', 'hivemind.stream.container.b.exec', 'hivemind.req.scheduler.place', 'hivemind.req.app.replace', '_INBOX.x.y', '_INBOX.x.y.container.b.exec', '_INBOX_b.x', '$SYS.REQ.CLAIMS.UPDATE', 'hivemind.msg.assignment.a.changed'])(
    'lets it say nothing on %s', async (subject) => {
      expect(await refused(() => hostile.publish(subject, '{}'))).toBe(true);
    });

  it('lets it answer for no manager', async () => {
    await eavesdrop('hivemind.req.assignment.b.get');
    await eavesdrop('hivemind.req.assignment.a.get');
    const answers = await Promise.all(Array.from({length: 10}, () => call(nodeB, subjects.getAssignment, b, {session: 1})));
    expect(answers.every(({cluster}) => cluster === 'c1')).toBe(true);
  });

  it('lets it answer what it was asked once, and nothing else in that place', async () => {
    const place = Promise.withResolvers<string>();
    hostile.subscribe('hivemind.req.container.a.stats', {callback: (_error, message) => {
      message.respond('{"stats":[]}');
      place.resolve(message.reply ?? '');
    }});
    await hostile.flush();
    expect(await call(manager, subjects.getStats, a, {ids: []})).toEqual({stats: []});
    const address = await place.promise;
    expect(address).toMatch(/^_INBOX\./);
    expect(await refused(() => hostile.publish(address, '{"stats":[]}'))).toBe(true);
  });

  it('cannot have a manager answer into somebody else\'s place', async () => {
    const wakes: unknown[] = [];
    await listen(nodeB, subjects.assignmentChanged, b, (message) => void wakes.push(message));
    const inboxOfB: string[] = [];
    await nodeB.subscribe('assignment.b.changed', ({data}) => void inboxOfB.push(JSON.stringify(data)));
    for (const reply of ['hivemind.msg.assignment.b.changed', '_INBOX_b.x', 'hivemind.req.container.b.restart']) hostile.publish('hivemind.req.assignment.a.get', '{"session":1}', {reply});
    await hostile.flush();
    // What the manager answers after those questions was answered after them.
    await call(nodeB, subjects.getAssignment, b, {session: 1});
    await emit(manager, subjects.assignmentChanged, b, {version: 9});
    await waitFor(() => wakes.length > 0, {what: 'the true wake'});
    expect(wakes).toEqual([{version: 9}]);
    expect(inboxOfB).toEqual(['{"version":9}']);
  });

  it('cannot permit itself another place by asking itself there', async () => {
    // It may not publish where it listens, so that it never gets a question with a place of its own choice.
    expect(await refused(() => hostile.publish('_INBOX_a.self', 'x', {reply: 'hivemind.msg.assignment.b.changed'}))).toBe(true);
    expect(await refused(() => hostile.publish('hivemind.req.container.a.stats', 'x', {reply: 'hivemind.msg.assignment.b.changed'}))).toBe(true);
    expect(await refused(() => hostile.publish('hivemind.msg.assignment.b.changed', '{"version":1}'))).toBe(true);
  });

  it('is disconnected when its key is revoked, and stays out', async () => {
    const closed = hostile.closed();
    const now = Math.floor(Date.now() / 1000);
    const credentials = nats.trust.systemCredentials({name: 'push', now: Date.now()});
    await pushAccount({servers: nats.server.url, credentials, jwt: nats.trust.accountJwt({[keyA.nkey]: now}, now + 1), ...(nats.tls ? {tls: nats.tls} : {})});
    await closed;
    expect(hostile.isClosed()).toBe(true);
    await expect(reissued(now)).rejects.toThrow(/authorization violation/i);
    // Others are not touched.
    expect(await call(nodeB, subjects.getAssignment, b, {session: 1})).toMatchObject({cluster: 'c1'});
    await nats.server.terminate();
    await nats.server.start();
    await expect(reissued(now)).rejects.toThrow(/authorization violation/i);
    await waitFor(() => call(nodeB, subjects.getAssignment, b, {session: 1}).catch(() => undefined), {what: 'B to be connected again', deadlineMs: 30_000});
  });

  /** With a JWT from before the revocation. */
  async function reissued(second: number): Promise<NatsConnection> {
    const {jwt} = nats.trust.nodeJwt({name: 'a', nkey: keyA.nkey, now: second * 1000});
    return connect({servers: nats.server.url, reconnect: false, authenticator: jwtAuthenticator(jwt, Buffer.from(keyA.seed)), ...tlsOptions()});
  }
});

describe('the bus with TLS', () => {
  it('is not spoken to by who does not trust the cluster\'s authority, nor without TLS credentials of the cluster', async () => {
    const [nats, other] = await Promise.all([startTrustedNats({tls: true}), startTrustedNats({tls: true})]);
    const options = nats.serviceOptions('app');
    await expect(nats.connect({...options, tls: {ca: other.authority.certificate}})).rejects.toThrow();
    // Of another cluster: a certificate that is trusted does not make the credentials good.
    const theirs = other.serviceOptions('app');
    await expect(nats.connect({...theirs, servers: nats.server.url, tls: nats.tls ?? {}})).rejects.toMatchObject({code: 'not-permitted'});
    await Promise.all([nats.stop(), other.stop()]);
  });
});
