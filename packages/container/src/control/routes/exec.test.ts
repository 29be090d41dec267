import {once} from 'node:events';
import {waitFor} from '@hivemind/testkit';
import {WebSocket} from 'ws';
import {TestBench} from '../../testing/bench.ts';

let bench: TestBench;
beforeAll(async () => {
  bench = await TestBench.start();
  await bench.run('sleep 1000', {id: 'exec-1'});
});
afterAll(() => bench.stop());

interface Session {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  output: string;
  readonly controls: unknown[];
}

function connect(path: string, protocols: string[] = []): Session {
  const socket = new WebSocket(`${bench.url.replace('http', 'ws')}/api/v1${path}`, protocols);
  const session: Session = {socket, output: '', controls: [], closed: new Promise((resolve) => socket.once('close', resolve))};
  socket.on('message', (message: Buffer) => {
    if (message[0] === 3) session.controls.push(JSON.parse(message.subarray(1).toString()));
    else session.output += `${message[0]}:${message.subarray(1).toString()}`;
  });
  return session;
}

const frame = (channel: number, data: string | Buffer): Buffer => Buffer.concat([Buffer.of(channel), Buffer.from(data)]);
const script = (text: string): string => ['sh', '-c', text].map((word) => `command=${encodeURIComponent(word)}`).join('&');

/** What a connection is refused with. */
async function refusal(path: string): Promise<{readonly status: number; readonly body: Record<string, unknown>}> {
  const {socket} = connect(path);
  socket.on('error', () => undefined);
  const [, response] = await once(socket, 'unexpected-response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  socket.terminate();
  return {status: response.statusCode, body: JSON.parse(text)};
}

describe('exec', () => {
  it('gives output on its channels, and then the exit code', async () => {
    const session = connect(`/containers/exec-1/exec?env=NAME=you&${script('echo "hello $NAME"; echo oops >&2; exit 4')}`);
    expect(await session.closed).toBe(1000);
    expect(session.output).toBe('1:hello you\n2:oops\n');
    expect(session.controls).toEqual([{exitCode: 4}]);
  });

  it('feeds input until it is ended', async () => {
    const session = connect('/containers/exec-1/exec?command=cat&stdin=true&columns=80&rows=24&tty=true', ['hivemind.exec.v1', 'bearer.abc']);
    await once(session.socket, 'open');
    expect(session.socket.protocol).toBe('hivemind.exec.v1');
    session.socket.send(frame(3, '{"columns":100,"rows":30}'));
    session.socket.send(frame(0, 'typed'));
    session.socket.send(frame(3, '{"endInput":true}'));
    expect(await session.closed).toBe(1000);
    expect(session.output).toBe('1:typed');
    expect(session.controls).toEqual([{exitCode: 0}]);
  });

  it('carries megabytes whole', async () => {
    const session = connect('/containers/exec-1/exec?command=cat&stdin=true');
    await once(session.socket, 'open');
    for (let sent = 0; sent < 40; sent++) session.socket.send(frame(0, Buffer.alloc(100_000, 'x')));
    session.socket.send(frame(3, '{"endInput":true}'));
    expect(await session.closed).toBe(1000);
    expect(session.output.replaceAll('1:', '')).toHaveLength(4_000_000);
  });

  it('attaches to the main process', async () => {
    await bench.run("trap 'exit 6' TERM; sleep 1000 & wait", {id: 'exec-2'});
    const session = connect('/containers/exec-2/exec?attach=true');
    await once(session.socket, 'open');
    await waitFor(() => bench.runtime.engine.calls.includes('exec exec-2'), {what: 'the attachment'});
    bench.runtime.engine.write('exec-2', 'seen');
    await bench.runtime.stop((await bench.runtime.inspect('exec-2'))!.runtimeId, 'SIGTERM', 10_000);
    expect(await session.closed).toBe(1000);
    expect(session.output).toBe('1:seen\n');
    expect(session.controls).toEqual([{exitCode: 6}]);
  });

  it('says in the stream what the machine refuses', async () => {
    await bench.place({id: 'exec-3'});
    const session = connect('/containers/exec-3/exec?command=true');
    expect(await session.closed).toBe(1011);
    expect(session.controls).toEqual([{error: {code: 'container-not-found', detail: expect.any(String)}}]);
  });

  it('leaves the command when the client goes', async () => {
    const session = connect(`/containers/exec-1/exec?stdin=true&${script('echo begun; cat')}`);
    await waitFor(() => session.output !== '', {what: 'output'});
    session.socket.terminate();
    await session.closed;
    // The next one is served as if nothing had been.
    const next = connect('/containers/exec-1/exec?command=true');
    expect(await next.closed).toBe(1000);
  });

  it.each([
    ['a text message', 'text', 1003],
    ['an unknown channel', frame(7, 'x'), 1008],
    ['a control that is none', frame(3, '{"rows":0}'), 1008],
  ])('refuses %s', async (_what, message, code) => {
    const session = connect('/containers/exec-1/exec?command=cat&stdin=true');
    await once(session.socket, 'open');
    session.socket.send(message);
    expect(await session.closed).toBe(code);
  });

  it('refuses before the upgrade what is wrong already', async () => {
    expect(await refusal('/containers/no-such/exec?command=true')).toMatchObject({status: 404, body: {code: 'container-not-found'}});
    expect(await refusal('/containers/exec-1/exec')).toMatchObject({status: 422, body: {errors: [{path: 'command'}]}});
    expect(await refusal('/containers/exec-1/exec?command=a&attach=true')).toMatchObject({status: 422});
    expect(await refusal('/containers/exec-1/exec?command=a&columns=x')).toMatchObject({status: 422, body: {errors: [{path: 'columns'}]}});
    await bench.place({id: 'exec-9', node: 'n9'});
    expect(await refusal('/containers/exec-9/exec?command=true')).toMatchObject({status: 503, body: {code: 'node-not-connected'}});
  });

  it('tells a plain request what it is', async () => {
    const answer = await bench.get('/containers/exec-1/exec?command=true');
    expect([answer.status, await answer.json()]).toMatchObject([426, {code: 'upgrade-required'}]);
  });
});
