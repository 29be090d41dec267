import {aContainer, anApp, aStatus, running} from '../testing/builders.ts';
import type {AppView} from '../model.ts';
import {dependencyCircle, unmetDependencies} from './dependencies.ts';

const none: AppView = {containers: []};

describe('what an app waits for', () => {
  const db = anApp({replicas: 2}, {name: 'db'});
  const job = anApp({mode: 'job'}, {name: 'job'});
  const unmet = (condition: 'started' | 'healthy' | 'completed', view: AppView) => unmetDependencies({db: condition}, () => view).map(({message}) => message)[0];
  const unready = {record: aContainer(db), status: aStatus({ready: false})};
  const finished = {record: aContainer(job), status: aStatus({phase: 'exited', ready: false, exitCode: 0})};

  it('an app that does not exist, or is stopped', () => {
    expect(unmet('started', none)).toBe('app db does not exist');
    expect(unmet('started', {app: {...db, stopped: true}, containers: []})).toBe('app db is stopped');
  });

  it.each([
    ['started', [], 'no container of app db has started'],
    ['started', [{record: aContainer(db)}], 'no container of app db has started'],
    ['started', [unready], undefined],
    ['healthy', [running(db), unready], '1 of 2 replicas of app db are ready'],
    ['healthy', [running(db), running(db)], undefined],
  ] as const)('%s with %j', (condition, containers, message) => {
    expect(unmet(condition, {app: db, containers})).toBe(message);
  });

  it('completed: until a job has ended well', () => {
    expect(unmet('completed', {app: job, containers: [running(job)]})).toBe('0 of 1 runs of app db have completed');
    expect(unmet('completed', {app: job, containers: [finished]})).toBeUndefined();
  });
});

describe('circles', () => {
  const graph: Record<string, string[]> = {web: ['api'], api: ['db', 'cache'], cache: ['api']};
  const circle = (name: string, dependsOn: string[]) => dependencyCircle(name, dependsOn, (app) => graph[app] ?? []);

  it('are found, however long', () => {
    expect(circle('db', ['web'])).toEqual(['db', 'web', 'api', 'db']);
    expect(circle('self', ['self'])).toEqual(['self', 'self']);
  });
  it('of others do not matter', () => expect(circle('web', ['api'])).toBeUndefined());
});
