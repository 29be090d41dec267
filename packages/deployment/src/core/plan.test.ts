import {anApp, epoch, Miniature} from '../testing/cluster.ts';
import {command, planRollout} from './plan.ts';
import {chooseStrategy} from './strategy.ts';

describe('planRollout', () => {
  it('asks for all replicas of an app at once when it has none', () => {
    const decision = planRollout({app: anApp({replicas: 30}), rollouts: [], containers: [], revisions: new Set([1]), now: epoch});
    expect(decision.writes).toHaveLength(1);
    expect(decision.writes[0]).toMatchObject({revision: 1, previous: null, phase: 'progressing', counts: [{revision: 1, replicas: 30, weight: 100}]});
  });

  it('completes the first rollout as soon as all are ready', () => {
    const cluster = new Miniature({app: anApp({replicas: 3}), startMs: 300});
    cluster.settle();
    expect(cluster.current).toMatchObject({phase: 'completed', counts: [{revision: 1, replicas: 3}]});
    expect(Date.parse(cluster.current.finishedAt ?? '') - epoch).toBeLessThan(1000);
  });

  it('replaces one at a time and waits healthyFor in between', () => {
    const cluster = new Miniature({app: anApp({replicas: 3, update: {healthyFor: '2s'}})});
    cluster.settle();
    cluster.app = anApp({replicas: 3, image: 'web:2', update: {healthyFor: '2s'}}, 2);
    const started = cluster.now;
    cluster.settle();
    expect(cluster.current).toMatchObject({revision: 2, previous: 1, phase: 'completed'});
    expect(cluster.containers.map((container) => container.revision)).toEqual([2, 2, 2]);
    expect(Date.parse(cluster.current.finishedAt ?? '') - started).toBeGreaterThanOrEqual(3 * 2000);
  });

  it('goes back by itself when the new containers fail, and says rolled back', () => {
    const cluster = new Miniature({app: anApp({replicas: 3}), broken: new Set([2])});
    cluster.settle();
    cluster.app = anApp({replicas: 3, image: 'web:broken'}, 2);
    for (let i = 0; i < 100; i++) {
      cluster.tick();
      expect(cluster.ready(1)).toBe(3);
    }
    expect(cluster.current).toMatchObject({revision: 2, phase: 'rolled-back', reason: 'ContainersFail', counts: [{revision: 1, replicas: 3}]});
    expect(cluster.current.message).toContain('revision 2 failed: restarted 3 times');
  });

  it('goes back at the deadline when the new containers never become ready', () => {
    const spec = {replicas: 2, update: {deadline: '10s'}};
    const cluster = new Miniature({app: anApp(spec), startMs: 100});
    cluster.settle();
    cluster.app = anApp({...spec, image: 'web:slow'}, 2);
    cluster.startMs = 3_600_000;
    for (let i = 0; i < 130; i++) cluster.tick();
    expect(cluster.current).toMatchObject({phase: 'rolled-back', reason: 'DeadlineExceeded'});
    expect(cluster.ready(1)).toBe(2);
  });

  it('without autoRollback it fails and holds still; a later recovery carries it on', () => {
    const update = {autoRollback: false};
    const cluster = new Miniature({app: anApp({replicas: 2, update}), broken: new Set([2])});
    cluster.settle();
    cluster.app = anApp({replicas: 2, update, image: 'web:broken'}, 2);
    cluster.settle(20_000);
    expect(cluster.current).toMatchObject({phase: 'failed', reason: 'ContainersFail'});
    expect(cluster.ready(1)).toBe(2);
  });

  it('a first rollout that fails has nothing to go back to, and completes when its containers heal', () => {
    const cluster = new Miniature({app: anApp({replicas: 1, update: {deadline: '1s'}}), startMs: 5000});
    for (let i = 0; i < 20; i++) cluster.tick();
    expect(cluster.current.phase).toBe('failed');
    cluster.settle();
    expect(cluster.current.phase).toBe('completed');
  });

  it('a newer revision supersedes an unfinished one and remembers the last that worked', () => {
    const cluster = new Miniature({app: anApp({replicas: 2}), broken: new Set([2])});
    cluster.settle();
    cluster.app = anApp({replicas: 2, image: 'b'}, 2);
    cluster.tick();
    cluster.app = anApp({replicas: 2, image: 'c'}, 3);
    cluster.settle();
    expect(cluster.rollouts.map((rollout) => [rollout.revision, rollout.phase, rollout.previous])).toEqual([[1, 'completed', null], [2, 'superseded', 1], [3, 'completed', 1]]);
    expect(cluster.containers.every((container) => container.revision === 3)).toBe(true);
  });

  it('goes back to a first revision that was replaced the moment it was ready', () => {
    const cluster = new Miniature({app: anApp({replicas: 2}), broken: new Set([2])});
    while (cluster.ready(1) < 2) cluster.tick();
    expect(cluster.current.phase).toBe('progressing');
    cluster.app = anApp({replicas: 2, image: 'broken'}, 2);
    cluster.settle();
    expect(cluster.rollouts.map((rollout) => [rollout.revision, rollout.phase, rollout.previous])).toEqual([[1, 'superseded', null], [2, 'rolled-back', 1]]);
    expect(cluster.ready(1)).toBe(2);
  });

  it('scales what runs: after a completed and after a rolled-back rollout', () => {
    const cluster = new Miniature({app: anApp({replicas: 2}), broken: new Set([2])});
    cluster.settle();
    cluster.app = anApp({replicas: 4}, 1);
    cluster.settle();
    expect(cluster.ready(1)).toBe(4);
    cluster.app = anApp({replicas: 4, image: 'broken'}, 2);
    cluster.settle();
    cluster.app = anApp({replicas: 1, image: 'broken'}, 2);
    cluster.settle();
    expect(cluster.current.phase).toBe('rolled-back');
    expect(cluster.containers.map((container) => container.revision)).toEqual([1]);
  });

  it('a stopped app wants no container, and a started one all of them', () => {
    const cluster = new Miniature({app: anApp({replicas: 2})});
    cluster.settle();
    cluster.app = {...cluster.app, stopped: true};
    cluster.settle();
    expect(cluster.containers).toEqual([]);
    cluster.app = {...cluster.app, stopped: false};
    cluster.settle();
    expect(cluster.ready(1)).toBe(2);
  });

  it('stop-first: never two copies at once, not even one that is still stopping', () => {
    const spec = {replicas: 1, ports: [{container: 80, host: 8080}], update: {healthyFor: '1s'}};
    const cluster = new Miniature({app: anApp(spec), stopMs: 3000});
    cluster.settle();
    cluster.app = anApp({...spec, image: 'web:2'}, 2);
    for (let i = 0; i < 200; i++) {
      cluster.tick();
      expect(cluster.containers.length).toBeLessThanOrEqual(1);
    }
    expect(cluster.current).toMatchObject({phase: 'completed', strategy: 'stop-first', revision: 2});
  });

  it('recreate: all old ones are gone before the first new one', () => {
    const spec = {replicas: 3, update: {strategy: 'recreate' as const}};
    const cluster = new Miniature({app: anApp(spec)});
    cluster.settle();
    cluster.app = anApp({...spec, image: 'web:2'}, 2);
    for (let i = 0; i < 100; i++) {
      cluster.tick();
      expect(new Set(cluster.containers.map((container) => container.revision)).size).toBeLessThanOrEqual(1);
    }
    expect(cluster.current.phase).toBe('completed');
  });

  it('a pause keeps the mixture, a resume goes on', () => {
    const cluster = new Miniature({app: anApp({replicas: 4, update: {healthyFor: '500ms'}})});
    cluster.settle();
    cluster.app = anApp({replicas: 4, image: 'web:2', update: {healthyFor: '500ms'}}, 2);
    for (let i = 0; i < 25; i++) cluster.tick();
    const paused = command(cluster.current, 'pause', cluster.app, cluster.revisions, cluster.now);
    if (typeof paused === 'string') throw new Error(paused);
    cluster.rollouts = [...cluster.rollouts.filter((rollout) => rollout.revision !== 2), paused];
    const counts = paused.counts;
    cluster.settle(20_000);
    expect(cluster.current).toMatchObject({phase: 'paused', counts});
    const resumed = command(cluster.current, 'resume', cluster.app, cluster.revisions, cluster.now);
    if (typeof resumed === 'string') throw new Error(resumed);
    cluster.rollouts = [...cluster.rollouts.filter((rollout) => rollout.revision !== 2), resumed];
    cluster.settle();
    expect(cluster.current.phase).toBe('completed');
  });

  it('jobs run each replica to completion', () => {
    const app = anApp({replicas: 2, mode: 'job'});
    const completed = {revision: 1, removing: false, ready: false, readySince: undefined, hopeless: undefined, completed: true};
    const first = planRollout({app, rollouts: [], containers: [], revisions: new Set([1]), now: epoch}).writes;
    expect(first[0]).toMatchObject({phase: 'progressing', counts: [{replicas: 2}]});
    const second = planRollout({app, rollouts: first, containers: [{id: 'a', ...completed}, {id: 'b', ...completed}], revisions: new Set([1]), now: epoch}).writes;
    expect(second[0]).toMatchObject({phase: 'completed', message: '2 of 2 runs completed'});
  });

  it('a finished rollout refuses to be paused; one without a predecessor cannot go back', () => {
    const cluster = new Miniature({app: anApp()});
    cluster.settle();
    expect(command(cluster.current, 'pause', cluster.app, cluster.revisions, cluster.now)).toBe('finished');
    expect(command(cluster.current, 'rollback', cluster.app, cluster.revisions, cluster.now)).toBe('no-earlier');
  });
});

describe('chooseStrategy', () => {
  it('says why it stops first', () => {
    expect(chooseStrategy(anApp({ports: [{container: 80, host: 8080}]}).spec)).toEqual({name: 'stop-first', because: 'host port 8080 can be held by one container of a machine at a time'});
    expect(chooseStrategy(anApp({ports: [{container: 80, host: 8080}]}).spec, true)).toEqual({name: 'rolling'});
    expect(chooseStrategy(anApp({volumes: [{name: 'data', mount: '/data'}]}).spec)).toMatchObject({name: 'stop-first'});
    expect(chooseStrategy(anApp({ports: [{container: 80, host: 0}, {container: 81, host: '8000-8010'}]}).spec)).toEqual({name: 'rolling'});
  });
});
