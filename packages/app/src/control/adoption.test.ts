import {call} from '@hivemind/bus';
import {type ContainerRecord, type EngineOrigin} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {waitFor} from '@hivemind/testkit';
import {aContainer, anApp} from '../testing/builders.ts';
import {TestCluster} from '../testing/cluster.ts';
import {adoption, volumes} from './collections.ts';

const settled = {deadlineMs: 5000, what: 'the cluster to settle'};

describe('what runs and is not listed (law 12)', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => cluster.stop());

  const lost = anApp({image: 'web:3', volumes: [{name: 'data', mount: '/data'}]}, {revision: 3});
  const machine = () => {
    const found = cluster.machines.get('n1');
    if (!found) throw new Error('there is no machine');
    return found;
  };
  /** As the agent: one at a time, and nothing is removed before it was told. */
  async function report(...records: readonly ContainerRecord[]): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    for (const record of records) {
      const origin: EngineOrigin = {epoch: 'of another life', n: 900, container: record, app: {replicas: 1, mode: record.mode}};
      answers.push((await call(cluster.bus, subjects.reportStrangers, {node: 'n1'}, {session: 1, containers: [{id: record.id, running: true, origin}]})).accepted);
    }
    // A look from before it was told may be under way.
    await machine().idle();
    for (const record of records) machine().runs.set(record.id, record);
    return answers;
  }
  const held = async () => (await call(cluster.bus, subjects.getAssignment, {node: 'n1'}, {session: 1})).hold;
  const state = async () => (await cluster.request('GET', '/cluster/adoption')).json();
  const adopt = (mode: string) => cluster.request('POST', '/cluster/adopt', {mode});
  const running = () => [...machine().runs.keys()].toSorted();
  /** A wake for each: what would be removed by now, is. */
  async function looks(): Promise<void> {
    for (let looked = 0; looked < 3; looked++) {
      machine().look();
      await machine().idle();
    }
  }

  it('is held, and said, until somebody decides', async () => {
    const [one, two] = [aContainer(lost), aContainer(lost)];
    expect(await held()).toBe(false);
    expect(await report(one, two)).toEqual([true, true]);
    expect(await held()).toBe(true);
    await looks();
    expect(running()).toEqual([one.id, two.id].toSorted());
    expect(await state()).toMatchObject({held: true, reason: expect.stringContaining('Node n1'), strangers: [{app: 'web', image: 'web:3', node: 'n1', running: true}, {app: 'web'}]});
  });

  it('kept: ids, app, revision, namespace and volumes are rebuilt, and nothing is touched', async () => {
    const shop = aContainer(anApp({}, {namespace: 'shop', name: 'till'}));
    const [one, two] = [aContainer(lost), aContainer(lost)];
    await report(one, two, shop);
    const result = (await adopt('keep')).json();
    expect(result.adopted.toSorted()).toEqual([one.id, two.id, shop.id].toSorted());
    expect(await held()).toBe(false);
    await looks();
    await waitFor(async () => (await cluster.request('GET', '/apps/web')).json().status.replicas.ready === 2, settled);
    expect(running()).toEqual([one.id, two.id, shop.id].toSorted());
    expect((await cluster.request('GET', '/apps/web')).json()).toMatchObject({spec: {image: 'web:3', replicas: 2}, status: {phase: 'running', revision: 3}, meta: {uid: lost.meta.uid}});
    expect((await cluster.request('GET', '/namespaces/shop')).statusCode).toBe(200);
    expect((await volumes.in(cluster.store).get('default/data'))?.value.node).toBe('n1');
    expect((await cluster.store.get('allocations', 'n1'))?.value).toContain(one.id);
    expect(await state()).toMatchObject({held: false, strangers: []});
    await cluster.request('PATCH', '/apps/web', {spec: {image: 'web:4'}});
    await waitFor(() => [...machine().runs.values()].filter(({app, revision}) => app === 'web' && revision === 4).length === 2, settled);
  });

  it('kept: it is of the cluster from then on, and goes when it is told to', async () => {
    const [one, two] = [aContainer(lost), aContainer(lost)];
    await report(one, two);
    await adopt('keep');
    // The machine's list may be from before: it is to hold on, and to look again.
    expect(await report(one)).toEqual([false]);
    await cluster.machines.get('n1')?.stop();
    await cluster.request('POST', '/apps/web/scale', {replicas: 1});
    const removed = await waitFor(async () => (await cluster.containers()).find(({removedAt}) => removedAt !== undefined), settled);
    // Its label will always be of another time.
    expect(await report(removed)).toEqual([true]);
    expect(await state()).toMatchObject({held: false, strangers: []});
  });

  it('kept: what is reported a moment later is adopted too, without being in danger', async () => {
    await adoption.in(cluster.store).put('adoption', {held: true, reason: 'The data dir is new.', since: new Date().toISOString()});
    expect((await adopt('keep')).statusCode).toBe(200);
    const [one, two] = [aContainer(lost), aContainer(lost)];
    // Not accepted: the machine holds everything until it has seen the new list.
    expect(await report(one, two)).toEqual([false, false]);
    await looks();
    await waitFor(async () => (await cluster.request('GET', '/apps/web')).json().status?.replicas.ready === 2, settled);
    expect(running()).toEqual([one.id, two.id].toSorted());
  });

  it.each(['keep', 'discard'])('decided (%s) while a machine still reports: it holds for all of it', async (mode) => {
    const [first, ...more] = Array.from({length: 40}, () => aContainer(lost));
    await report(...(first ? [first] : []));
    const containers = more.map((record) => ({id: record.id, running: true, origin: {epoch: 'of another life', n: 900, container: record, app: {replicas: 1, mode: record.mode}}}));
    await Promise.all([call(cluster.bus, subjects.reportStrangers, {node: 'n1'}, {session: 1, containers}), adopt(mode)]);
    expect(await state()).toMatchObject({held: false, strangers: []});
    expect(await cluster.containers()).toHaveLength(mode === 'keep' ? 40 : 0);
  });

  it('discarded: it is let go, and reporting it again holds nothing', async () => {
    const one = aContainer(lost);
    await report(one);
    expect((await adopt('discard')).json()).toMatchObject({discarded: [one.id]});
    expect(await report(one)).toEqual([true]);
    expect(await held()).toBe(false);
    await looks();
    expect(running()).toEqual([]);
  });

  it('is let go by itself when the machine has none left', async () => {
    await adoption.in(cluster.store).put('adoption', {held: true, reason: 'The data dir is new.', since: new Date().toISOString()});
    await call(cluster.bus, subjects.reportStrangers, {node: 'n1'}, {session: 1, containers: []});
    expect(await state()).toMatchObject({held: false});
    expect((await adopt('keep')).json().code).toBe('not-held');
  });

  it('that cannot be known again can only be discarded', async () => {
    await call(cluster.bus, subjects.reportStrangers, {node: 'n1'}, {session: 1, containers: [{id: 'odd-1', running: true, origin: null}]});
    expect((await adopt('keep')).json()).toMatchObject({adopted: [], skipped: [{id: 'odd-1', reason: 'its label cannot be read'}]});
    expect(await state()).toMatchObject({held: true, reason: expect.stringContaining('odd-1')});
    await adopt('discard');
    expect(await held()).toBe(false);
  });

  it('is not taken from an old session', async () => {
    await expect(call(cluster.bus, subjects.reportStrangers, {node: 'n1'}, {session: 7, containers: []})).rejects.toMatchObject({code: 'session-expired'});
  });
});
