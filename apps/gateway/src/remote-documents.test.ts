import {once} from 'node:events';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {createCallerSigner, instanceKey, serviceInstances} from '@hivemind/service';
import {openSqliteStore} from '@hivemind/store';
import {pino} from 'pino';
import {Directory} from './directory.ts';
import {documentsOf} from './remote-documents.ts';
import {destroyAgents, upstreamAgents} from './upstream.ts';

it('documents of services: one whose connection broke is asked once more, who stays silent is named', async () => {
  const asked: string[] = [];
  const server = createServer((request, reply) => {
    const service = request.headers.host?.startsWith('127.0.0.2') === true ? 'broken' : 'app';
    asked.push(service);
    if (service === 'broken' || asked.filter((name) => name === service).length === 1) return void request.socket.destroy();
    reply.end(JSON.stringify({openapi: '3.1.0', info: {title: service, version: '1'}, paths: {[`/api/v1/${service}`]: {}}}));
  }).listen(0);
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const store = await openSqliteStore({path: ':memory:'});
  for (const [service, address] of [['app', '127.0.0.1'], ['broken', '127.0.0.2']] as const) {
    const record = {service, instance: service, url: `http://${address}:${port}`, version: '1', startedAt: '2026-01-01T00:00:00Z'};
    await serviceInstances.in(store).put(instanceKey(record), record);
  }
  const ended = new AbortController();
  const directory = new Directory({store, logger: pino({level: 'silent'}), now: Date.now, signal: ended.signal});
  await directory.ready();
  const agents = upstreamAgents(undefined);
  const warned: unknown[] = [];
  const managers = ['app', 'broken', 'nobody'].map((name) => ({name, segments: [name]}));
  const {documents, missing} = await documentsOf({managers, directory, signer: createCallerSigner('g1', Date.now), agents}, {warn: (about: object) => void warned.push(about)});
  expect(documents.map(({paths}) => Object.keys(paths))).toEqual([['/api/v1/app']]);
  expect(missing).toEqual(['broken', 'nobody']);
  expect(warned).toMatchObject([{service: 'nobody'}, {service: 'broken'}]);
  expect(asked.toSorted()).toEqual(['app', 'app', 'broken', 'broken']);
  destroyAgents(agents);
  ended.abort();
  server.close();
  await store.close();
});
