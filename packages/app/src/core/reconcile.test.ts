import {aContainer, anApp, aRollout, aStatus, at, epoch, running} from '../testing/builders.ts';
import type {AppView} from '../model.ts';
import {planSteps, surplus, UNHEARD_MS, type ReconcileInput} from './reconcile.ts';

const input = (view: Partial<ReconcileInput> & AppView): ReconcileInput => ({waiting: [], whereabouts: () => ({kind: 'settled'}), now: epoch, ...view});
const nothing = {create: [], remove: [], forget: [], deleteApp: false, wakeAt: undefined};

describe('what has to be done', () => {
  const app = anApp({replicas: 3});

  it('creates what the rollout counts and is not there, of each revision', () => {
    const rollout = aRollout(app, {counts: [{revision: 1, replicas: 2, weight: 50}, {revision: 2, replicas: 2, weight: 50}]});
    expect(planSteps(input({app, rollout, containers: [running(app)]}))).toEqual({...nothing, create: [{revision: 1, count: 1}, {revision: 2, count: 2}]});
  });

  it('does nothing while it is so', () => {
    expect(planSteps(input({app, rollout: aRollout(app), containers: [running(app), running(app), running(app)]}))).toEqual(nothing);
  });

  it('removes what is counted no longer, revisions that are not named included', () => {
    const old = running(app, {revision: 7});
    expect(planSteps(input({app, rollout: aRollout(app, {counts: []}), containers: [old]}))).toEqual({...nothing, remove: [old.record.id]});
  });

  it('removes nothing on counts from before the app last changed: what was adopted since is not in them', () => {
    const grown = anApp({replicas: 4}, {meta: {...app.meta, generation: app.meta.generation + 1}});
    const containers = Array.from({length: 4}, () => running(grown));
    const rollout = aRollout(app);
    expect(planSteps(input({app: grown, rollout, containers}))).toEqual(nothing);
    expect(planSteps(input({app: grown, rollout: {...rollout, generation: grown.meta.generation}, containers})).remove).toHaveLength(1);
  });

  it('does not count what was told to go, and forgets it when its node says that it is gone', () => {
    const going = {record: aContainer(app, {removedAt: at(0)}), status: aStatus({phase: 'stopping', ready: false})};
    const gone = {record: aContainer(app, {removedAt: at(0)}), status: aStatus({phase: 'removed', ready: false})};
    expect(planSteps(input({app, rollout: aRollout(app), containers: [running(app), running(app), going, gone]}))).toEqual({...nothing, create: [{revision: 1, count: 1}], forget: [gone.record.id]});
  });

  it('keeps a container whose node lost it: it is made again in place', () => {
    const lost = {record: aContainer(app), status: aStatus({phase: 'removed', ready: false})};
    expect(planSteps(input({app, rollout: aRollout(app, {counts: [{revision: 1, replicas: 1, weight: 100}]}), containers: [lost]}))).toEqual(nothing);
  });

  it('forgets what nobody ever heard of once every node has said all it has', () => {
    const unheard = {record: aContainer(app, {removedAt: at(0)})};
    const view = {app, rollout: aRollout(app, {counts: []}), containers: [unheard]};
    expect(planSteps(input(view))).toEqual({...nothing, wakeAt: epoch + UNHEARD_MS});
    expect(planSteps(input({...view, now: epoch + UNHEARD_MS}))).toEqual({...nothing, forget: [unheard.record.id]});
  });

  it('forgets what a machine held that left the cluster', () => {
    const record = aContainer(app, {removedAt: at(0)});
    expect(planSteps(input({app, rollout: aRollout(app, {counts: []}), containers: [{record, status: aStatus()}], whereabouts: () => ({kind: 'gone'})})).forget).toEqual([record.id]);
  });

  it('stops all of a stopped app, rollout or not', () => {
    const container = running(app);
    expect(planSteps(input({app: {...app, stopped: true}, containers: [container]})).remove).toEqual([container.record.id]);
  });

  it('does nothing before it knows the counts, but for what an earlier app of that name left', () => {
    const foreign = running(app, {appUid: 'another'});
    expect(planSteps(input({app, containers: [running(app), foreign]}))).toEqual({...nothing, remove: [foreign.record.id]});
    expect(planSteps(input({app, rollout: aRollout(app, {appUid: 'another'}), containers: [running(app)]}))).toEqual(nothing);
  });

  it('deletes the record of a deleted app when nothing of it is left', () => {
    const deleted = {...app, deletedAt: at(0)};
    const container = running(app);
    const gone = {record: aContainer(app, {removedAt: at(0)}), status: aStatus({phase: 'removed', ready: false})};
    expect(planSteps(input({app: deleted, rollout: aRollout(app), containers: [container, gone]}))).toEqual({...nothing, remove: [container.record.id], forget: [gone.record.id]});
    expect(planSteps(input({app: deleted, containers: [gone]}))).toEqual({...nothing, forget: [gone.record.id], deleteApp: true});
    expect(planSteps(input({app: deleted, containers: []}))).toEqual({...nothing, deleteApp: true});
  });

  it('removes what is left of an app whose record is gone', () => {
    const container = running(app);
    expect(planSteps(input({containers: [container]}))).toEqual({...nothing, remove: [container.record.id]});
  });

  it('holds the first start for dependencies, but not what comes later', () => {
    const waiting = [{app: 'db', message: 'app db does not exist'}];
    expect(planSteps(input({app, rollout: aRollout(app), containers: [], waiting}))).toEqual(nothing);
    expect(planSteps(input({app, rollout: aRollout(app), containers: [running(app)], waiting})).create).toEqual([{revision: 1, count: 2}]);
  });
});

describe('what is given up first', () => {
  const app = anApp();

  it('what does not run, then what is not ready, then the newest', () => {
    const ready = running(app);
    const newer = running(app);
    const unready = {record: aContainer(app), status: aStatus({ready: false})};
    const starting = {record: aContainer(app)};
    const finished = {record: aContainer(anApp({mode: 'job'})), status: aStatus({phase: 'exited', ready: false, exitCode: 0})};
    const all = [finished, ready, newer, unready, starting];
    expect(surplus(all, all, 5)).toEqual([starting, unready, newer, ready, finished]);
  });

  it('what shares its machine with most of the app', () => {
    const one = running(app, {node: 'n2'});
    const two = running(app, {node: 'n2'});
    const lone = running(app, {node: 'n1'});
    expect(surplus([two, lone, one], [two, lone, one], 1)).toEqual([two]);
    expect(surplus([two, lone, one], [two, lone, one], 3)).toEqual([two, lone, one]);
  });
});
