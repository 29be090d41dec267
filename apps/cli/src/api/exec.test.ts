import {once} from 'node:events';
import {createServer, type Server} from 'node:http';
import {type RawData, type WebSocket, WebSocketServer} from 'ws';
import {Command} from '../../test/command.ts';
import {Output} from '../output/output.ts';
import type {Session} from '../session.ts';
import {ApiClient} from './client.ts';
import {type ExecRequest, runInContainer} from './exec.ts';

/** A terminal of 80 by 24 whose raw mode is watched. */
class Tty extends Command {
  readonly modes: boolean[] = [];

  constructor() {
    super();
    Object.assign(this.in, {isTTY: true, setRawMode: (raw: boolean) => this.modes.push(raw)});
    Object.assign(this.out, {isTTY: true, columns: 80, rows: 24});
  }
}

const frame = (channel: number, data: string): Buffer => Buffer.concat([Buffer.of(channel), Buffer.from(data)]);
const text = (data: RawData): string => Buffer.isBuffer(data) ? data.toString('utf8') : '';

describe('a command in a container', () => {
  let http: Server;
  let sockets: WebSocketServer;
  let url: string;
  /** Path and query of the connection, and what to do with it. */
  let asked: URL;
  let serve: (socket: WebSocket) => void;

  beforeEach(async () => {
    http = createServer();
    sockets = new WebSocketServer({server: http});
    sockets.on('connection', (socket, request) => {
      asked = new URL(request.url ?? '', url);
      serve(socket);
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const address = http.address();
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });
  afterEach(async () => {
    sockets.close();
    http.close();
    http.closeAllConnections();
    await once(http, 'close');
  });

  const session = (terminal: Command): Session => ({api: new ApiClient({server: url, token: 't'}), output: new Output('table', terminal), terminal, dataDir: '/nowhere', givenNamespace: undefined, namespace: 'default'});
  const exec = (terminal: Command, request: Partial<ExecRequest> = {}): Promise<number> => runInContainer(session(terminal), 'web-1', {command: ['sh', '-c', 'a b'], tty: false, stdin: false, ...request});

  it('sends the words apart, and answers with the exit code', async () => {
    serve = (socket) => {
      socket.send(frame(1, 'out'));
      socket.send(frame(2, 'err'));
      socket.send(frame(3, '{"exitCode":7}'), () => socket.close(1000));
    };
    const terminal = new Command();
    expect(await exec(terminal, {user: 'me', env: ['A=1']})).toBe(7);
    expect(terminal.printed).toEqual({out: 'out', err: 'err'});
    expect(asked.pathname).toBe('/api/v1/containers/web-1/exec');
    expect(asked.searchParams.getAll('command')).toEqual(['sh', '-c', 'a b']);
    expect([asked.searchParams.get('user'), asked.searchParams.getAll('env'), asked.searchParams.get('tty')]).toEqual(['me', ['A=1'], 'false']);
  });

  it('with a terminal: raw while it runs, its size at first and as it changes', async () => {
    const terminal = new Tty();
    serve = (socket) => {
      socket.once('message', (data) => {
        socket.send(frame(1, text(data).slice(1)));
        socket.send(frame(3, '{"exitCode":0}'), () => socket.close(1000));
      });
      Object.assign(terminal.out, {columns: 120, rows: 40});
      socket.send(frame(1, '> '));
    };
    terminal.out.once('data', () => terminal.out.emit('resize'));
    expect(await exec(terminal, {tty: true, stdin: true})).toBe(0);
    expect([asked.searchParams.get('columns'), asked.searchParams.get('rows')]).toEqual(['80', '24']);
    expect(JSON.parse(terminal.printed.out.replace('> ', ''))).toEqual({columns: 120, rows: 40});
    expect(terminal.modes).toEqual([true, false]);
  });

  it('passes input on, then its end', async () => {
    const received: string[] = [];
    serve = (socket) => socket.on('message', (data) => {
      received.push(text(data));
      if (text(data).startsWith('\u0003')) socket.send(frame(3, '{"exitCode":0}'), () => socket.close(1000));
    });
    const terminal = new Command({input: 'hello'});
    expect(await exec(terminal, {stdin: true})).toBe(0);
    expect(received).toEqual(['\u0000hello', '\u0003{"endInput":true}']);
  });

  it('ctrl-p ctrl-q lets go, and the terminal is itself again', async () => {
    const terminal = new Tty();
    const closed = Promise.withResolvers<number>();
    serve = (socket) => {
      socket.on('close', closed.resolve);
      terminal.in.write(Buffer.of(0x10, 0x11));
    };
    expect(await exec(terminal, {tty: true, stdin: true, attach: true})).toBe(0);
    expect(await closed.promise).toBe(1000);
    expect(terminal.modes).toEqual([true, false]);
  });

  it('what the server says went wrong is what is thrown, and the terminal is itself again', async () => {
    const terminal = new Tty();
    serve = (socket) => socket.send(frame(3, '{"error":{"code":"start-failed","detail":"no such program"}}'), () => socket.close(1011));
    await expect(exec(terminal, {tty: true, stdin: true})).rejects.toMatchObject({code: 'start-failed', message: 'no such program'});
    expect(terminal.modes).toEqual([true, false]);
  });

  it('a connection that breaks off is no exit code', async () => {
    serve = (socket) => socket.terminate();
    await expect(exec(new Command())).rejects.toMatchObject({code: 'connection-lost'});
  });

  it('a refusal before the upgrade is the refusal', async () => {
    sockets.close();
    http.removeAllListeners('upgrade');
    http.on('upgrade', (_request, socket) => {
      const body = JSON.stringify({status: 404, code: 'container-not-found', title: 'x', detail: 'There is no container web-1'});
      socket.end(`HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
    await expect(exec(new Command())).rejects.toMatchObject({code: 'container-not-found', status: 404});
  });
});
