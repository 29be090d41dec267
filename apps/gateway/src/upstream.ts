/** Connections from a gateway to services: in the clear on loopback, else TLS that shows who both ends are. */
import http from 'node:http';
import https from 'node:https';
import type {Duplex} from 'node:stream';
import type {TlsOptions} from '@hivemind/service';

/** ms to connect to a service; another instance is asked then. */
const CONNECT_MS = 2_000;
/** Parts that it is waited in: a process that was held up counts one, however long it took, and then hears what has come meanwhile. */
const PARTS = 10;

export interface Agents {
  readonly 'http:': http.Agent;
  readonly 'https:': https.Agent;
}

/** `tls` names the gateway to services and says whom it trusts; without it only loopback is reached. */
export function upstreamAgents(tls: TlsOptions | undefined, connectMs = CONNECT_MS): Agents {
  const kept = {keepAlive: true, keepAliveMsecs: 1_000, timeout: 0};
  const trust = tls ? {ca: tls.ca, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.3' as const} : {};
  return {'http:': impatient(new http.Agent(kept), 'connect', connectMs), 'https:': impatient(new https.Agent({...kept, ...trust}), 'secureConnect', connectMs)};
}

/** From now on with another certificate; connections that are open stay. */
export function renewAgents(agents: Agents, tls: TlsOptions): void {
  Object.assign(agents['https:'].options, {ca: tls.ca, cert: tls.certificate, key: tls.key});
}

export function destroyAgents(agents: Agents): void {
  for (const agent of Object.values(agents)) agent.destroy();
}

/** A machine that is gone answers nothing at all: its connection is given up. */
function impatient<A extends http.Agent>(agent: A, event: 'connect' | 'secureConnect', connectMs: number): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args: Parameters<typeof connect>): Duplex | null | undefined => {
    const socket = connect(...args);
    if (!socket) return socket;
    let parts = 0;
    const timer = setInterval(() => {
      parts += 1;
      if (parts === PARTS) socket.destroy(Object.assign(new Error(`not connected within ${connectMs} ms`), {code: 'ETIMEDOUT'}));
    }, connectMs / PARTS);
    const done = (): void => clearInterval(timer);
    socket.once(event, done).once('close', done);
    return socket;
  };
  return agent;
}
