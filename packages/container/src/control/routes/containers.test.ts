import {serve} from '@hivemind/bus';
import {collections, NodeReport} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {TestBench} from '../../testing/bench.ts';

let bench: TestBench;
beforeAll(async () => {
  bench = await TestBench.start();
});
afterAll(() => bench.stop());

const List = z.object({items: z.array(z.object({name: z.string()}))});
const lines = (text: string): {readonly line?: string; readonly stream?: string; readonly status?: string}[] => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));

describe('GET /containers', () => {
  it('filters by app, node and phase', async () => {
    await bench.place({id: 'a-1', app: 'a', namespace: 'list'});
    await bench.place({id: 'b-1', app: 'b', namespace: 'list'});
    await bench.place({id: 'b-2', app: 'b', namespace: 'list', node: 'n2'});
    await bench.report({'b-1': {}});
    await waitFor(async () => (await bench.shown('b-1')).status.phase === 'running', {what: 'the report'});
    const names = async (query: string): Promise<string[]> => List.parse(await (await bench.get(`/containers?namespace=list&${query}`)).json()).items.map(({name}) => name);
    expect(await names('')).toEqual(['a-1', 'b-1', 'b-2']);
    expect(await names('app=b')).toEqual(['b-1', 'b-2']);
    expect(await names('node=n1')).toEqual(['a-1', 'b-1']);
    expect(await names('phase=running')).toEqual(['b-1']);
    expect(await names('labelSelector=hivemind.node=n2')).toEqual(['b-2']);
    expect((await bench.get('/containers?nod=n1')).status).toBe(422);
  });

  it('says what is not there', async () => {
    const answer = await bench.get('/containers/no-such');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({code: 'container-not-found', detail: expect.stringContaining('no-such')});
    expect((await bench.get('/containers/a-1?namespace=other')).status).toBe(404);
  });
});

describe('GET /containers/{id}/logs', () => {
  it('answers lines of JSON, or text', async () => {
    await bench.run('echo one; echo two >&2; sleep 1000', {id: 'log-1'});
    await waitFor(() => bench.runtime.engine.container('log-1').log.length === 2, {what: 'two lines'});
    const json = await bench.get('/containers/log-1/logs');
    expect(json.headers.get('content-type')).toBe('application/x-ndjson');
    expect(lines(await json.text())).toMatchObject([{line: 'one', stream: 'stdout', container: 'log-1', node: 'n1'}, {line: 'two', stream: 'stderr'}]);
    expect(await (await bench.get('/containers/log-1/logs?format=text&tail=1')).text()).toBe('two\n');
    expect(await (await bench.get('/containers/log-1/logs?format=text&since=1h')).text()).toBe('one\ntwo\n');
    expect(await (await bench.get(`/containers/log-1/logs?format=text&since=${encodeURIComponent('2999-01-01T00:00:00+01:00')}`)).text()).toBe('');
    expect((await bench.get('/containers/log-1/logs?since=yesterday')).status).toBe(422);
  });

  it('follows, across a restart in place, until the container is removed', async () => {
    const origin = {epoch: 'e', n: 1, app: {replicas: 1, mode: 'replicated'}};
    const record = await bench.place({id: 'log-2', template: {args: ['sh', '-c', 'echo begun; sleep 1000']}});
    const runtimeId = await bench.runtime.create({record, name: 'log-2', env: {}, mounts: [], networks: [], labels: {'hivemind.origin': JSON.stringify({...origin, container: record})}});
    await bench.runtime.start(runtimeId);
    const answer = await bench.get('/containers/log-2/logs?follow=true&format=text');
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader.read()).toMatchObject({value: 'begun\n'});
    bench.runtime.engine.exit('log-2', 1);
    await waitFor(async () => (await bench.runtime.inspect('log-2'))?.state === 'exited', {what: 'the exit'});
    await bench.runtime.start(runtimeId);
    expect(await reader.read()).toMatchObject({value: 'begun\n'});
    await bench.runtime.remove(runtimeId);
    expect(await reader.read()).toMatchObject({done: true});
  });

  it('stops reading on the machine when the client goes', async () => {
    await bench.run('echo begun; sleep 1000', {id: 'log-3'});
    const listening = bench.runtime.engine.listenerCount('log');
    const over = new AbortController();
    const answer = await fetch(`${bench.url}/api/v1/containers/log-3/logs?follow=true`, {signal: over.signal});
    await answer.body!.getReader().read();
    await waitFor(() => bench.runtime.engine.listenerCount('log') > listening, {what: 'the log to be followed'});
    over.abort();
    await waitFor(() => bench.runtime.engine.listenerCount('log') === listening, {what: 'the log to be left'});
  });

  it('says that the machine does not have it yet', async () => {
    await bench.place({id: 'log-4'});
    const answer = await bench.get('/containers/log-4/logs');
    expect([answer.status, await answer.json()]).toMatchObject([404, {code: 'container-not-found', detail: expect.stringContaining('n1')}]);
  });

  it('says that the machine is away', async () => {
    await bench.place({id: 'log-5', node: 'n9'});
    const answer = await bench.get('/containers/log-5/logs');
    expect([answer.status, await answer.json()]).toMatchObject([503, {code: 'node-not-connected', detail: expect.stringContaining('n9')}]);
  });
});

describe('actions', () => {
  it('measures what runs', async () => {
    await bench.run('sleep 1000', {id: 'act-1'});
    expect(await (await bench.get('/containers/act-1/stats')).json()).toMatchObject({id: 'act-1', node: 'n1', memory: expect.any(Number)});
    await bench.place({id: 'act-2'});
    expect((await bench.get('/containers/act-2/stats')).status).toBe(409);
  });

  it('restarts on its machine', async () => {
    await bench.place({id: 'act-3'});
    expect((await bench.post('/containers/act-3/restart')).status).toBe(200);
    expect(bench.restarted).toEqual(['act-3']);
  });

  it('asks for another in place of one that is stopped', async () => {
    const replaced: string[] = [];
    const served = await serve(bench.bus, subjects.replaceContainer, {}, async ({id}) => {
      replaced.push(id);
      return Promise.resolve({});
    });
    await bench.place({id: 'act-4'});
    expect((await bench.post('/containers/act-4/stop')).status).toBe(202);
    expect(replaced).toEqual(['act-4']);
    await served.unsubscribe();
  });
});

describe('images', () => {
  it('are listed with their machine', async () => {
    expect(await (await bench.get('/images')).json()).toMatchObject({items: [{kind: 'Image', name: 'busybox', node: 'n1', tags: ['busybox']}], unavailable: []});
  });

  it('are pulled with progress', async () => {
    bench.runtime.engine.registry.set('registry/app:1', {layers: 2, credentials: {username: 'ann', password: 'secret'}});
    const pull = async (body: object): Promise<unknown[]> => lines(await (await bench.post('/images/pull', body)).text());
    expect(await pull({image: 'registry/app:1'})).toMatchObject([{node: 'n1', status: 'failed', code: 'image-unauthorized'}]);
    const progress = await pull({image: 'registry/app:1', node: 'n1', credentials: {username: 'ann', password: 'secret'}});
    expect(progress).toHaveLength(3);
    expect(progress.at(-1)).toMatchObject({node: 'n1', done: true});
    expect((await bench.post('/images/pull', {image: 'x', node: 'n9'})).status).toBe(503);
    expect((await bench.post('/images/pull', {image: 'x y'})).status).toBe(422);
  });

  it('are for machines that were late with a heartbeat, too, until they are ruled away', async () => {
    const verdicts = collection(collections.nodeVerdicts).in(bench.store);
    const statuses = collection(collections.nodeStatus).in(bench.store);
    const report = NodeReport.parse({capacity: {cpu: 1, memory: 1, disk: 1, pods: 1}, labels: {}, address: '10.0.0.9', runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0'});
    await statuses.put('late', {name: 'late', report, session: 1, lastSeenAt: '2026-01-01T00:00:00Z'});
    const pull = () => bench.post('/images/pull', {image: 'registry/none:1'});
    await waitFor(async () => (await (await pull()).text()).includes('Node late does not answer'), {what: 'the machine to be asked'});
    await verdicts.put('late', {name: 'late', state: 'unreachable', degraded: false, reason: 'x', message: 'nobody hears it', since: '2026-01-01T00:00:00Z'});
    await waitFor(async () => (await pull()).status === 200, {what: 'the machine to be left out'});
    await statuses.delete('late');
    await verdicts.delete('late');
  });

  it('go out as an archive, come in again and are removed', async () => {
    bench.runtime.engine.addImage('archived:1');
    const exported = await bench.get('/images/export?image=archived:1');
    expect([exported.status, exported.headers.get('content-type')]).toEqual([200, 'application/x-tar']);
    const archive = Buffer.from(await exported.arrayBuffer());
    expect((await fetch(`${bench.url}/api/v1/images/${encodeURIComponent('archived:1')}`, {method: 'DELETE'})).status).toBe(204);
    expect(await bench.runtime.hasImage('archived:1')).toBe(false);
    const missing = await bench.get('/images/export?image=archived:1');
    expect([missing.status, await missing.json()]).toMatchObject([422, {code: 'image-not-found', detail: expect.stringContaining('archived:1')}]);
    const put = async (body: Buffer): Promise<unknown[]> => lines(await (await fetch(`${bench.url}/api/v1/images/import`, {method: 'POST', headers: {'content-type': 'application/x-tar'}, body: new Uint8Array(body)})).text());
    expect((await put(archive)).at(-1)).toMatchObject({node: 'n1', done: true});
    expect(await bench.runtime.hasImage('archived:1')).toBe(true);
    expect(await put(Buffer.from('nonsense'))).toMatchObject([{node: 'n1', status: 'failed', code: 'archive-refused'}]);
    await bench.run('sleep 1000', {id: 'user-1', template: {image: 'archived:1'}});
    expect((await fetch(`${bench.url}/api/v1/images/${encodeURIComponent('archived:1')}`, {method: 'DELETE'})).status).toBe(409);
    expect((await bench.post('/images/import', {})).status).toBe(400);
  });

  it('are built from a tar larger than a body may be', async () => {
    const tar = Buffer.alloc(3 * 1024 * 1024, 1);
    const answer = await fetch(`${bench.url}/api/v1/images/build?tag=built:1&args=A=b=c`, {method: 'POST', headers: {'content-type': 'application/x-tar'}, body: tar});
    expect([answer.status, lines(await answer.text())]).toMatchObject([200, [{node: 'n1', status: 'Built built:1', done: true}]]);
    expect(await bench.runtime.hasImage('built:1')).toBe(true);
    expect((await bench.post('/images/build?tag=built:1', {})).status).toBe(400);
    expect((await fetch(`${bench.url}/api/v1/images/build`, {method: 'POST', headers: {'content-type': 'application/x-tar'}, body: tar})).status).toBe(422);
  });
});
