import {serve, serveStream} from '@hivemind/bus';
import {type LogLine} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {flushEvents, recordEvent} from '@hivemind/service';
import {waitFor} from '@hivemind/testkit';
import {TestCluster} from '../testing/cluster.ts';
import {events} from './collections.ts';
import {KEPT_EVENTS, trimOnce} from './event-trimmer.ts';

describe('looking at an app', () => {
  let cluster: TestCluster;
  let ids: readonly string[];
  beforeEach(async () => {
    cluster = await TestCluster.start();
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: 2}});
    await cluster.until('running');
    ids = (await cluster.containers()).map(({id}) => id).toSorted();
  });
  afterEach(async () => cluster.stop());

  /** Each container has lines at its own seconds: the first at 1, 3, 5, the other at 2, 4, 6. */
  async function serveLogs(broken?: string): Promise<unknown[]> {
    const asked: unknown[] = [];
    await serveStream(cluster.bus, subjects.streamLogs, {node: 'n1'}, async (stream, params) => {
      asked.push(params);
      if (params.id === broken) throw new Error('its log is gone');
      for (const second of [1, 3, 5].map((each) => each + ids.indexOf(params.id))) {
        const line: LogLine = {time: `2026-01-01T00:00:0${second}.000000000Z`, container: params.id, node: 'n1', stream: 'stdout', line: `line ${second}`};
        await stream.write(Buffer.from(`${JSON.stringify(line)}\n`));
      }
      await stream.end();
    });
    return asked;
  }

  it('its logs are one, in order of time', async () => {
    const asked = await serveLogs();
    const {body, headers} = await cluster.request('GET', '/apps/web/logs?tail=5&since=2026-01-01T00:00:00Z');
    expect(headers['content-type']).toBe('application/x-ndjson');
    expect(body.trim().split('\n').map((line) => JSON.parse(line).line)).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'line 6']);
    expect(asked).toContainEqual({id: ids[0], tail: 5, since: '2026-01-01T00:00:00Z', follow: false});
    expect((await cluster.request('GET', '/apps/web/logs?format=text')).body.split('\n')[0]).toBe(`${ids[0]} | line 1`);
    expect((await cluster.request('GET', '/apps/web/logs?follow=true')).body.trim().split('\n')).toHaveLength(6);
  });

  it('one log that breaks does not hide the others', async () => {
    await serveLogs(ids[0]);
    const {body} = await cluster.request('GET', '/apps/web/logs');
    expect(body.trim().split('\n').map((line) => JSON.parse(line).line)).toEqual(['line 2', 'line 4', 'line 6']);
  });

  it('says when no machine can be asked, and what it cannot read', async () => {
    expect((await cluster.request('GET', '/apps/web/logs')).statusCode).toBe(503);
    expect((await cluster.request('GET', '/apps/web/logs?since=yesterday')).json()).toMatchObject({code: 'invalid-input', errors: [{path: 'since'}]});
    expect((await cluster.request('GET', '/apps/none/logs')).json().code).toBe('app-not-found');
  });

  it('what its containers use, and which could not be asked', async () => {
    await serve(cluster.bus, subjects.getStats, {node: 'n1'}, async (request) => ({
      stats: request.ids.slice(0, 1).map((id) => ({id, time: '2026-01-01T00:00:00Z', cpu: 10, memory: 20, memoryLimit: 30, networkIn: 0, networkOut: 0, blockRead: 0, blockWrite: 0, pids: 1})),
    }));
    const {items, missing} = (await cluster.request('GET', '/apps/web/stats')).json();
    expect([...items.map(({id}: {id: string}) => id), ...missing].toSorted()).toEqual(ids);
    expect(items).toHaveLength(1);
  });

  it('its events, and those of its containers, of this app alone', async () => {
    const context = cluster.context();
    recordEvent(context, {namespace: 'default', kind: 'Container', name: ids[0] ?? '', type: 'warning', reason: 'CrashLoop', message: 'exit code 1'});
    recordEvent(context, {namespace: 'default', kind: 'App', name: 'webshop', type: 'normal', reason: 'Other', message: ''});
    recordEvent(context, {namespace: 'default', kind: 'Container', name: 'web-shop-22222', type: 'normal', reason: 'Other', message: ''});
    await flushEvents(cluster.store);
    const {items} = (await cluster.request('GET', '/apps/web/events')).json();
    expect(items.map(({reason}: {reason: string}) => reason)).toEqual(['Changed', 'Placed', 'CrashLoop']);
    expect((await cluster.request('GET', '/apps/web/events?limit=1')).json().items).toMatchObject([{reason: 'CrashLoop'}]);
  });

  it('why containers were put together, its event says', async () => {
    cluster.passedOver = [{node: 'n2', reason: 'is not ready: its agent was last heard at noon'}];
    await cluster.request('POST', '/apps', {name: 'api', spec: {image: 'api:1', replicas: 2}});
    await cluster.until('running', 'api');
    await flushEvents(cluster.store);
    const {items} = (await cluster.request('GET', '/apps/api/events')).json();
    expect(items.find(({reason}: {reason: string}) => reason === 'Placed')?.message).toMatch(/^2 placed: .* on n1, .* on n1\. Together, since others were passed over: n2: is not ready: its agent was last heard at noon$/);
  });

  it('of each namespace the newest events are kept', async () => {
    await waitFor(async () => (await events.in(cluster.store).list()).items.length > 0, {deadlineMs: 5000, what: 'the first events'});
    const event = {time: '2026-01-01T00:00:00Z', kind: 'App', name: 'web', type: 'normal' as const, reason: 'Test', message: ''};
    const key = (namespace: string, index: number) => `${namespace}/2030-01-01T00:00:00.${String(index).padStart(6, '0')}Z-x`;
    const writes = (namespace: string, count: number) => Array.from({length: count}, (_, index) => events.putting(key(namespace, index), {...event, namespace}));
    await cluster.store.transact({writes: writes('busy', KEPT_EVENTS + 30)});
    await cluster.store.transact({writes: writes('quiet', 3)});
    await trimOnce({store: cluster.store}, new AbortController().signal);
    const keys = (await events.in(cluster.store).list()).items.map((stored) => stored.key);
    expect(keys.filter((each) => each.startsWith('busy/'))).toEqual(Array.from({length: KEPT_EVENTS}, (_, index) => key('busy', index + 30)));
    expect(keys.filter((each) => each.startsWith('quiet/'))).toHaveLength(3);
  });
});
