/**
 * WebSockets to services: the request goes on as it came, and when the service changes protocol, so does this end; from then
 * on bytes are passed both ways unread. So a refusal before the upgrade reaches the client as the answer that it is.
 */
import http, {ServerResponse, type IncomingHttpHeaders, type IncomingMessage} from 'node:http';
import https from 'node:https';
import type {Duplex} from 'node:stream';
import type {HttpServer} from '@hivemind/service';
import type {FastifyReply, FastifyRequest} from 'fastify';
import {withoutToken} from './auth.ts';
import type {Agents} from './upstream.ts';

interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly response: ServerResponse;
}

export class Tunnels {
  readonly #agents: Agents;
  readonly #upgrades = new WeakMap<IncomingMessage, Upgrade>();
  readonly #open = new Set<Duplex>();

  /** Takes the upgrades of a server: each goes through its hooks and to its route first. */
  constructor(root: HttpServer, agents: Agents) {
    this.#agents = agents;
    root.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const response = new ServerResponse(request);
      response.assignSocket(request.socket);
      this.#upgrades.set(request, {socket, head, response});
      root.routing(request, response);
    });
    root.addHook('preClose', async () => {
      for (const socket of this.#open) socket.end();
    });
  }

  isUpgrade({raw}: FastifyRequest): boolean {
    return this.#upgrades.has(raw);
  }

  /** Asks the service at `base`; `failed` is told when it cannot be asked. */
  open(request: FastifyRequest, reply: FastifyReply, base: string, headers: IncomingHttpHeaders, failed: (error: Error) => void): FastifyReply {
    const upgrade = this.#upgrades.get(request.raw);
    const {hostname, port, protocol, host} = new URL(base);
    const secure = protocol === 'https:';
    const offered = withoutToken(headers['sec-websocket-protocol'] ?? '');
    const {'sec-websocket-protocol': _offered, ...rest} = headers;
    const outgoing = (secure ? https : http).request({
      hostname, port,
      method: 'GET',
      path: request.url,
      // A connection of its own, as it does not come back.
      agent: false,
      ...(secure ? tlsOf(this.#agents) : {}),
      headers: {...rest, host, connection: 'upgrade', upgrade: 'websocket', ...(offered === '' ? {} : {'sec-websocket-protocol': offered})},
    });
    outgoing.once('error', failed);
    outgoing.once('response', (response) => {
      outgoing.off('error', failed);
      const {connection: _connection, 'transfer-encoding': _encoding, ...answered} = response.headers;
      void reply.code(response.statusCode ?? 502).headers(answered).send(response);
    });
    outgoing.once('upgrade', (response, upstream, first) => {
      outgoing.off('error', failed);
      if (!upgrade || upgrade.socket.destroyed) return void upstream.destroy();
      reply.hijack();
      this.#join(upgrade, response, upstream, first);
    });
    upgrade?.socket.once('close', () => outgoing.destroy());
    outgoing.end();
    return reply;
  }

  #join({socket, head, response: opening}: Upgrade, response: IncomingMessage, upstream: Duplex, first: Buffer): void {
    if ('detachSocket' in opening && opening.socket) opening.detachSocket(opening.socket);
    const lines = response.rawHeaders.flatMap((name, index, all) => (index % 2 === 0 ? [`${name}: ${all[index + 1] ?? ''}`] : []));
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
    if (first.length > 0) socket.write(first);
    if (head.length > 0) upstream.write(head);
    this.#open.add(socket);
    upstream.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#open.delete(socket);
      upstream.destroy();
    });
    upstream.once('close', () => socket.end());
    socket.pipe(upstream).pipe(socket);
  }
}

function tlsOf(agents: Agents): https.AgentOptions {
  const {ca, cert, key, minVersion} = agents['https:'].options;
  return {ca, cert, key, minVersion};
}
