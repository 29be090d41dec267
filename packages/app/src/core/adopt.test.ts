import type {ContainerRecord, EngineOrigin} from '@hivemind/contracts';
import {aContainer, anApp, at} from '../testing/builders.ts';
import {adoptApp, type AdoptInput} from './adopt.ts';

const lost = anApp({image: 'web:2'}, {revision: 2});
const found = (record: ContainerRecord, n = 10, node = 'n1') => ({node, origin: {epoch: 'e', n, container: record, app: {replicas: 1, mode: record.mode}} satisfies EngineOrigin});
const adopt = (input: Partial<AdoptInput>) => adoptApp({namespace: 'default', name: 'web', known: [], found: [], now: at(0), ...input});

describe('rebuilding an app from what runs', () => {
  it('that the store does not know: ids, revisions and as many replicas as run', () => {
    const [one, two, old] = [aContainer(lost), aContainer(lost), aContainer(anApp(), {revision: 1})];
    const {app, revisions, containers} = adopt({found: [found(one), found(two, 11, 'n2'), found(old)]});
    expect(app).toMatchObject({name: 'web', revision: 2, stopped: false, spec: {image: 'web:2', replicas: 2}, meta: {uid: lost.meta.uid, generation: 1}});
    expect(revisions.map(({number, spec}) => [number, spec.image]).toSorted()).toEqual([[1, 'web:1'], [2, 'web:2']]);
    expect(containers.map(({id, node}) => [id, node]).toSorted()).toEqual([[one.id, 'n1'], [two.id, 'n2'], [old.id, 'n1']]);
  });

  it('that is known as it was: nothing of it changes', () => {
    const app = anApp({replicas: 3});
    expect(adopt({app, found: [found(aContainer(app))]})).toMatchObject({revisions: [], containers: [{revision: 1}]});
    expect(adopt({app, found: [found(aContainer(app))]}).app).toBeUndefined();
  });

  it('with more replicas than were known, so that none is stopped', () => {
    const app = anApp();
    const known = aContainer(app);
    expect(adopt({app, known: [known], found: [found(aContainer(app)), found(aContainer(app))]}).app?.spec.replicas).toBe(3);
  });

  it('in a newer revision than was known; those of the older one do not count', () => {
    const app = anApp({dependsOn: {db: 'started'}});
    const {app: merged, revisions} = adopt({app, known: [aContainer(app)], found: [found(aContainer(lost))]});
    expect(merged).toMatchObject({revision: 2, spec: {image: 'web:2', replicas: 1, dependsOn: {db: 'started'}}});
    expect(revisions.map(({number}) => number)).toEqual([2]);
  });

  it('that was stopped or deleted in the store of then', () => {
    const {app} = adopt({app: {...anApp(), stopped: true, deletedAt: at(0)}, found: [found(aContainer(anApp()))]});
    expect(app).toMatchObject({stopped: false});
    expect(app).not.toHaveProperty('deletedAt', at(0));
  });

  it('skips what belongs to another app of that name', () => {
    const other = aContainer(anApp(), {appUid: 'other'});
    expect(adopt({app: anApp(), found: [found(other)]})).toEqual({revisions: [], containers: [], skipped: [{id: other.id, reason: 'app default/web is another one of that name by now'}]});
  });
});
