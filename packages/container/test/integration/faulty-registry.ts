/** Stands before a real registry and does harm as it is told. */
import {once} from 'node:events';
import {createServer, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';

/** What is done with one answer. False: it is passed on as it is. */
export type Harm = (request: {readonly url: string; readonly range: string | undefined; readonly authorization: string | undefined}, body: Buffer, response: ServerResponse) => boolean;

export interface FaultyRegistry extends AsyncDisposable {
  readonly host: string;
  /** What was asked for so far, with the range. */
  readonly asked: readonly string[];
  harm: Harm;
}

export async function faultyRegistry(url: string): Promise<FaultyRegistry> {
  const asked: string[] = [];
  const state: {harm: Harm} = {harm: () => false};
  const server = createServer((request, response) => {
    void (async () => {
      const {range, accept, authorization} = request.headers;
      asked.push(`${request.url}${range === undefined ? '' : ` ${range}`}`);
      const answer = await fetch(`${url}${request.url}`, {headers: {...(range === undefined ? {} : {range}), ...(accept === undefined ? {} : {accept}), ...(authorization === undefined ? {} : {authorization})}});
      const body = Buffer.from(await answer.arrayBuffer());
      if (state.harm({url: request.url ?? '', range, authorization}, body, response)) return;
      const challenge = answer.headers.get('www-authenticate');
      response.writeHead(answer.status, {'content-type': answer.headers.get('content-type') ?? '', 'content-length': body.length, ...(challenge === null ? {} : {'www-authenticate': challenge})});
      response.end(body);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get harm() {
      return state.harm;
    },
    set harm(harm: Harm) {
      state.harm = harm;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
