import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Probe} from '@hivemind/contracts';
import {type ExecSession, type Runtime, type RuntimeContainer, runtimeErrors} from '@hivemind/runtime';
import {freePort} from '@hivemind/testkit';
import {runProbe} from './actions.ts';

const runtime: Pick<Runtime, 'exec'> = {exec: () => Promise.reject(runtimeErrors['runtime-unavailable']('the engine is away'))};
const never = new AbortController().signal;

function container(fields: Partial<RuntimeContainer> = {}): RuntimeContainer {
  return {runtimeId: 'r1', id: 'web-aaaaa', name: 'web', labels: {}, state: 'running', oomKilled: false, ports: [], ip: '127.0.0.1', ...fields};
}

describe('http and tcp probes', () => {
  let server: Server;
  let port: number;

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/hang') return;
      const status = request.url === '/secret' ? (request.headers.authorization === 'let-me-in' ? 200 : 401) : request.url === '/moved' ? 302 : request.url === '/broken' ? 503 : 200;
      response.writeHead(status).end('x'.repeat(100_000));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const http = (path: string, headers = {}, signal = never) => runProbe(runtime, container(), Probe.parse({http: {path, port, headers}}), signal);

  it.each([['/', true], ['/moved', true], ['/broken', false], ['/secret', false]])('GET %s: %s', async (path, ok) => {
    expect(await http(path)).toMatchObject({ok});
  });

  it('sends the headers it is given', async () => {
    expect(await http('/secret', {authorization: 'let-me-in'})).toMatchObject({ok: true});
  });

  it('gives up when told to', async () => {
    expect(await http('/hang', {}, AbortSignal.timeout(30))).toEqual({ok: false, message: `GET /hang on port ${port}: no answer in time`});
  });

  it('says when nobody listens', async () => {
    const closed = await freePort();
    expect(await runProbe(runtime, container(), Probe.parse({http: {port: closed}}), never)).toEqual({ok: false, message: `GET / on port ${closed}: connection refused`});
    expect(await runProbe(runtime, container(), Probe.parse({tcp: {port: closed}}), never)).toEqual({ok: false, message: `connecting to port ${closed}: connection refused`});
  });

  it('reaches a container without an address at the machine\'s end of its port', async () => {
    const shared = container({ip: undefined, ports: [{container: 80, protocol: 'tcp', host: port}]});
    expect(await runProbe(runtime, shared, Probe.parse({tcp: {port: 80}}), never)).toMatchObject({ok: true});
  });
});

describe('exec probes', () => {
  it('are no fault of the container while the engine is away', async () => {
    expect(await runProbe(runtime, container(), Probe.parse({exec: ['true']}), never)).toBeUndefined();
  });

  it('succeed with exit code 0, and show what the command said', async () => {
    const session = (code: number, text: string): ExecSession => ({
      output: (async function* () {
        yield {stream: 'stdout' as const, data: Buffer.from(text)};
      })(),
      write: async () => undefined, endInput: () => undefined, resize: async () => undefined, exitCode: Promise.resolve(code), close: () => undefined,
    });
    const answering = (code: number, text: string): Pick<Runtime, 'exec'> => ({exec: async () => session(code, text)});
    const probe = Probe.parse({exec: ['check']});
    expect(await runProbe(answering(0, ''), container(), probe, never)).toEqual({ok: true, message: 'check exited with 0'});
    expect(await runProbe(answering(3, 'disk full\n'), container(), probe, never)).toEqual({ok: false, message: 'check exited with 3: disk full'});
  });
});
