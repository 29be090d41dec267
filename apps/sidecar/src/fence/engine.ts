/** As much of the Docker Engine's API as the fence needs, over its socket: no client library shares its fate. For containerd's, see there. */
import {readFileSync} from 'node:fs';
import {request, type RequestOptions} from 'node:http';
import {request as secureRequest} from 'node:https';
import {join} from 'node:path';
import {connectContainerd} from './containerd.ts';
import type {Listed} from './guarded.ts';

export interface Engine {
  /** Containers of the cluster that run, paused ones included. */
  running(cluster: string): Promise<readonly Listed[]>;
  /** One that does not run any more is no error. */
  signal(id: string, signal: string): Promise<void>;
}

/** ms for an answer; then it is asked anew. */
const ANSWER_WITHIN_MS = 5_000;
/** Bytes of a list: some thousands of containers. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
const CLUSTER = 'hivemind.cluster';

/** Before the path of containerd's socket. */
export const CONTAINERD = 'containerd://';

/** `host` as DOCKER_HOST, or `containerd://` and the path of containerd's socket. With DOCKER_CERT_PATH set, tcp is mutual TLS. @throws TypeError where it is no engine's address */
export function connectEngine(host: string, certPath: string | undefined = process.env.DOCKER_CERT_PATH): Engine {
  if (host.startsWith(CONTAINERD)) return connectContainerd(host.slice(CONTAINERD.length));
  const target = targetOf(host, certPath || undefined);
  return {
    async running(cluster) {
      const filters = encodeURIComponent(JSON.stringify({label: [`${CLUSTER}=${cluster}`], status: ['running', 'paused', 'restarting']}));
      const {status, body} = await ask(target, 'GET', `/containers/json?filters=${filters}`);
      if (status !== 200) throw new Error(`the engine answers ${status} to a list`);
      return listedOf(JSON.parse(body));
    },
    async signal(id, signal) {
      const {status} = await ask(target, 'POST', `/containers/${encodeURIComponent(id)}/kill?signal=${encodeURIComponent(signal)}`);
      // 404: removed; 409: does not run.
      if (status !== 204 && status !== 404 && status !== 409) throw new Error(`the engine answers ${status} to ${signal}`);
    },
  };
}

type Target = RequestOptions & {readonly secure: boolean; readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer};

function targetOf(host: string, certPath: string | undefined): Target {
  if (host.startsWith('/')) return {secure: false, socketPath: host};
  const url = URL.parse(host.includes('://') ? host : `tcp://${host}`);
  if (url?.protocol === 'unix:') return {secure: false, socketPath: url.pathname};
  if (!url || !['tcp:', 'http:', 'https:'].includes(url.protocol)) throw new TypeError(`${host} is no engine's address`);
  const secure = certPath !== undefined || url.protocol === 'https:';
  const read = (file: string): Buffer => readFileSync(join(certPath ?? '', file));
  return {
    secure, host: url.hostname, port: Number(url.port) || (secure ? 2376 : 2375),
    ...(certPath === undefined ? {} : {ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem')}),
  };
}

function ask({secure, ...target}: Target, method: string, path: string): Promise<{readonly status: number; readonly body: string}> {
  return new Promise((resolve, reject) => {
    const call = (secure ? secureRequest : request)({...target, method, path, headers: {host: 'engine'}, agent: false, signal: AbortSignal.timeout(ANSWER_WITHIN_MS)}, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length > LONGEST_ANSWER) call.destroy(new Error('the engine answers without an end'));
        parts.push(part);
      });
      response.once('end', () => resolve({status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8')}));
      response.once('error', reject);
    });
    call.once('error', reject);
    call.end();
  });
}

function listedOf(answer: unknown): readonly Listed[] {
  if (!Array.isArray(answer)) throw new TypeError('the engine answers a list with something else');
  return answer.flatMap((item: {Id?: unknown; Labels?: unknown} | null) => {
    const {Id: id, Labels: labels} = item ?? {};
    if (typeof id !== 'string' || typeof labels !== 'object' || labels === null) return [];
    return [{id, labels: Object.fromEntries(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))}];
  });
}
