/** A socket in front of containerd's that sees each call of its API, and can stop at one: where an agent is killed, between which two steps. */
import {once} from 'node:events';
import {type ClientHttp2Session, connect as connectHttp2, createServer, type IncomingHttpHeaders, type ServerHttp2Stream} from 'node:http2';
import {connect} from 'node:net';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';

/** Before it reaches containerd, or done and its answer kept back. */
export type Moment = 'before' | 'after';

export interface CallByCall extends AsyncDisposable {
  readonly socketPath: string;
  /** Names as in `Tasks/Create`, in the order they came; what only listens is left out. */
  readonly calls: readonly string[];
}

/** @param onCall the call's number from 0. True: it goes no further */
export async function callByCall(target: string, onCall: (at: number, call: string, moment: Moment) => boolean): Promise<CallByCall> {
  const dir = tempDir('calls');
  const socketPath = join(dir, 'containerd.sock');
  const calls: string[] = [];
  const upstreams = new Set<ClientHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    const upstream = connectHttp2('http://containerd', {createConnection: () => connect(target)});
    upstreams.add(upstream);
    upstream.on('error', () => session.destroy());
    session.on('error', () => undefined).once('close', () => upstream.destroy());
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => undefined);
      const call = String(headers[':path']).replace(/^\/containerd\.services\.\w+\.v1\./, '');
      const at = /^Events\//.test(call) ? -1 : calls.push(call) - 1;
      if (at >= 0 && onCall(at, call, 'before')) return;
      const asked = upstream.request(headers, {endStream: false});
      asked.on('error', () => stream.destroy());
      stream.pipe(asked);
      asked.once('response', (answer, flags) => {
        // An answer of headers alone has nothing to keep back but itself.
        const over = (flags & 1) === 1;
        if (over && at >= 0 && onCall(at, call, 'after')) return;
        if (stream.destroyed) return;
        stream.respond(answer, {endStream: over, waitForTrailers: !over});
        if (over) return;
        let trailers: IncomingHttpHeaders = {};
        asked.once('trailers', (last) => (trailers = last));
        stream.once('wantTrailers', () => {
          if (at < 0 || !onCall(at, call, 'after')) stream.sendTrailers(trailers);
        });
        asked.pipe(stream);
      });
    });
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath, calls,
    [Symbol.asyncDispose]: async () => {
      for (const upstream of upstreams) upstream.destroy();
      server.close();
      await removeTempDir(dir);
    },
  };
}
