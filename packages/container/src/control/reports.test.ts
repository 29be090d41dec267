import {lossy} from '@hivemind/bus/testing';
import {isError} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {TestBench} from '../testing/bench.ts';
import {containers, containerStatus} from './tables.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(() => bench.stop());

describe('reports', () => {
  it('are shown', async () => {
    await bench.place({id: 'web-1'});
    expect(await bench.shown('web-1')).toMatchObject({status: {phase: 'pending', ready: false, reason: 'Assigned'}});
    await bench.report({'web-1': {ip: '10.0.0.7', restarts: 2}});
    await waitFor(async () => (await bench.shown('web-1')).status.phase === 'running', {what: 'the report to be seen'});
    expect(await bench.stored('web-1')).toMatchObject({phase: 'running', ip: '10.0.0.7', restarts: 2});
  });

  it('are refused under another session than the newest', async () => {
    await bench.place({id: 'web-1'});
    await bench.register('n1', 2);
    await expect(bench.report({'web-1': {}}, {session: 1})).rejects.toMatchObject({code: 'session-expired', status: 409});
    await bench.report({'web-1': {}}, {session: 2});
    await expect(bench.report({'web-1': {}}, {session: 3})).rejects.toMatchObject({code: 'session-expired'});
    await expect(bench.report({}, {node: 'n2'})).rejects.toMatchObject({code: 'session-expired'});
    expect(await bench.stored('web-1')).toMatchObject({phase: 'running'});
  });

  it('are not believed about containers of another node, or of none', async () => {
    await bench.place({id: 'web-1', node: 'n2'});
    await bench.place({id: 'web-2'});
    await bench.report({'web-1': {}, 'web-2': {}, 'web-3': {}});
    expect(await bench.stored('web-1')).toBeUndefined();
    expect(await bench.stored('web-3')).toBeUndefined();
    expect(await bench.stored('web-2')).toMatchObject({phase: 'running'});
  });

  it('that are full say what is gone', async () => {
    await bench.place({id: 'web-1'});
    await bench.place({id: 'web-2', removedAt: '2026-01-01T00:00:00Z'});
    await bench.place({id: 'web-3'});
    await bench.place({id: 'web-4'});
    await bench.report({'web-1': {}, 'web-3': {}});
    await waitFor(async () => (await bench.shown('web-3')).status.phase === 'running', {what: 'the report to be seen'});
    await bench.report({'web-1': {}}, {full: true});
    expect(await Promise.all(['web-1', 'web-2', 'web-3', 'web-4'].map(async (id) => (await bench.stored(id))?.phase))).toEqual(['running', 'removed', 'lost', undefined]);
  });

  it('that are full write nothing when nothing changed', async () => {
    await bench.place({id: 'web-1'});
    await bench.report({'web-1': {}});
    await waitFor(async () => (await bench.shown('web-1')).status.phase === 'running', {what: 'the report to be seen'});
    const before = await bench.store.revision();
    await bench.report({'web-1': {}}, {full: true});
    expect(await bench.store.revision()).toEqual(before);
  });

  it('that come late, by way of another instance, undo nothing that is newer', async () => {
    await bench.place({id: 'web-1'});
    await bench.report({'web-1': {phase: 'running'}}, {sequence: 5});
    await bench.report({'web-1': {phase: 'starting', ready: false}}, {sequence: 4});
    await bench.report({}, {sequence: 3, full: true});
    expect(await bench.stored('web-1')).toMatchObject({phase: 'running', ready: true});
    await bench.report({'web-1': {phase: 'exited', ready: false}}, {sequence: 6});
    expect(await bench.stored('web-1')).toMatchObject({phase: 'exited'});
    await bench.register('n1', 2);
    await bench.report({'web-1': {phase: 'running'}}, {session: 2, sequence: 0});
    expect(await bench.stored('web-1')).toMatchObject({phase: 'running'});
  });

  it('are right also where the cache is behind what another instance wrote', async () => {
    await bench.place({id: 'web-1'});
    await bench.report({'web-1': {phase: 'starting', ready: false}}, {sequence: 1});
    const record = await containerStatus.in(bench.store).get('web-1');
    if (!record) throw new Error('nothing was stored');
    // At once: the cache has not heard of it when the report is looked at.
    await Promise.all([
      containerStatus.in(bench.store).put('web-1', {...record.value, sequence: 9, status: {...record.value.status, phase: 'exited'}}, {expect: record}),
      bench.report({'web-1': {phase: 'running'}}, {sequence: 2}),
    ]).catch((error: unknown) => {
      // Where the report came first, the other one lost.
      if (!isError(error, 'version-mismatch')) throw error;
    });
    const stored = await containerStatus.in(bench.store).get('web-1');
    expect([['exited', 9], ['running', 2]]).toContainEqual([stored?.value.status.phase, stored?.value.sequence]);
  });

  it('come through a bus that loses half of them, or of their answers', async () => {
    const bus = lossy(bench.bus, {seed: 7, requestTimeout: 0.5});
    await bench.place({id: 'web-1'});
    for (const phase of ['pulling', 'creating', 'starting', 'running'] as const) {
      await waitFor(() => bench.report({'web-1': {phase, ready: phase === 'running'}}, {bus, full: phase === 'running'}), {what: `the report of ${phase}`});
      expect(await bench.stored('web-1')).toMatchObject({phase});
    }
    expect(bus.losses.timedOut).toBeGreaterThan(0);
  });

  it('leave nothing behind when the container is forgotten', async () => {
    await bench.place({id: 'web-1'});
    await bench.report({'web-1': {phase: 'removed', ready: false}});
    await containers.in(bench.store).delete('web-1');
    await waitFor(async () => (await bench.stored('web-1')) === undefined, {what: 'the status to be deleted'});
    expect((await bench.get('/containers/web-1')).status).toBe(404);
  });
});
