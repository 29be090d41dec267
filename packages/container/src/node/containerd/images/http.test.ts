import {once} from 'node:events';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {waitFor} from '@hivemind/testkit';
import {get} from './http.ts';

const over = new AbortController();
const server = createServer();
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  over.abort();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

async function answered(answer: (response: ServerResponse) => void): Promise<IncomingMessage> {
  server.once('request', (_request, response: ServerResponse) => answer(response));
  return get(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), {headers: {}, authorityOf: () => undefined, signal: over.signal});
}

/** As if the time of a silence had gone by. */
async function silence({socket}: IncomingMessage): Promise<void> {
  socket.setTimeout(20);
  await once(socket, 'timeout');
}

async function lengthOf(response: IncomingMessage): Promise<number> {
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) length += part.length;
  return length;
}

it('an answer that is not read yet is not given up', async () => {
  const body = Buffer.alloc(5_000_000, 'a');
  const response = await answered((answer) => answer.end(body));
  await waitFor(() => response.readableLength > 0, {what: 'a part that waits'});
  for (const _time of ['once', 'again']) {
    await silence(response);
    expect(response.destroyed).toBe(false);
  }
  expect(await lengthOf(response)).toBe(body.length);
});

it('one of which no more comes is, also when it was not read before', async () => {
  const response = await answered((answer) => {
    answer.writeHead(200, {'content-length': 1000});
    answer.write('a');
  });
  await waitFor(() => response.readableLength > 0, {what: 'a part that waits'});
  await silence(response);
  expect(response.destroyed).toBe(false);
  const read = lengthOf(response);
  await waitFor(() => response.readableLength === 0, {what: 'it to be read'});
  const silent = silence(response);
  await expect(read).rejects.toThrow('nothing came for 60 s');
  await silent;
});
