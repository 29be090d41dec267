import type {MemberRecord, MemberSighting, MemberState} from '@hivemind/contracts';
import type {View} from './reports.ts';
import {changesOf, type Electorate, heardFromMost, introductions, SHOWN_MS, tally} from './tally.ts';

const sighting = (name: string, state: MemberState, fields: Partial<MemberSighting> = {}): MemberSighting => ({name, state, address: `10.0.0.1:7946`, incarnation: 1, since: 0, tags: {}, ...fields});
/** `n1: 'a+ b-'`: n1 sees a alive and b dead; `?` suspect, `/` left. */
const states: Readonly<Record<string, MemberState>> = {'+': 'alive', '?': 'suspect', '-': 'dead', '/': 'left'};
const views = (texts: Readonly<Record<string, string>>): ReadonlyMap<string, View> =>
  new Map(Object.entries(texts).map(([node, text]) => [node, new Map(text.split(' ').map((word) => [word.slice(0, -1), sighting(word.slice(0, -1), states[word.slice(-1)]!)]))]));
const machines = (...ready: string[]): Electorate => ({ready: new Set(ready), machines: true});
const count = (texts: Readonly<Record<string, string>>, electorate: Electorate, earlier: Readonly<Record<string, MemberState>> = {}) =>
  Object.fromEntries([...tally(views(texts), electorate, (name) => earlier[name])].map(([name, {state}]) => [name, state]));

describe('what counts', () => {
  it('is a death that most ready machines report', () => {
    expect(count({a: 'a+ b+ c-', b: 'a+ b+ c-', c: 'a+ b+ c+'}, machines('a', 'b', 'c'))).toEqual({a: 'alive', b: 'alive', c: 'dead'});
  });

  it('is not what one says that takes all others for dead', () => {
    expect(count({a: 'a+ b- c-', b: 'a- b+ c+', c: 'a- b+ c+'}, machines('a', 'b', 'c'))).toEqual({a: 'dead', b: 'alive', c: 'alive'});
    expect(count({a: 'a+ b- c-'}, machines('a', 'b', 'c'), {b: 'alive', c: 'alive'})).toEqual({a: 'alive', b: 'alive', c: 'alive'});
  });

  it('needs more than half: silence is no vote for death', () => {
    expect(count({a: 'a+ d-', b: 'b+ d-', c: 'c+ d+'}, machines('a', 'b', 'c', 'd'))).toMatchObject({d: 'alive'});
    expect(count({a: 'a+ d-', b: 'b+ d-'}, machines('a', 'b', 'c', 'd'), {d: 'alive'})).toMatchObject({d: 'alive'});
    expect(count({a: 'a+ d-', b: 'b+ d-', c: 'c+ d-'}, machines('a', 'b', 'c', 'd'))).toMatchObject({d: 'dead'});
  });

  it('is one that who came back never heard of: the member died before, and no ring tells of the dead', () => {
    expect(count({a: 'a+ c+', c: 'a+ b- c+'}, machines('a', 'c'), {b: 'alive'})).toMatchObject({b: 'dead'});
    // Who knows nobody yet knows nothing of anybody.
    expect(count({a: 'a+', c: 'b- c+'}, machines('a', 'c'), {b: 'alive'})).toMatchObject({b: 'alive'});
  });

  it('is open where nobody sees it and too few say so, whatever counted before', () => {
    const of = (texts: Readonly<Record<string, string>>, ...ready: string[]) => tally(views(texts), machines(...ready), () => 'alive').get('b');
    expect(of({c: 'b- c+'}, 'a', 'c')).toMatchObject({state: 'alive', unseen: true, votes: {dead: 1, silent: 1}});
    expect(of({a: 'a+ b+', c: 'b- c+'}, 'a', 'c')).toMatchObject({state: 'alive', unseen: false});
    expect(of({a: 'a+ b?', c: 'b- c+'}, 'a', 'c')).toMatchObject({state: 'suspect', unseen: false});
    expect(of({a: 'a+ b-', c: 'b- c+'}, 'a', 'c')).toMatchObject({state: 'dead', unseen: false});
  });

  it('of two machines waits for the lease of the one to lapse: each may be the one that is cut off', () => {
    expect(count({a: 'a+ b-', b: 'a- b+'}, machines('a', 'b'))).toEqual({a: 'alive', b: 'alive'});
    expect(count({a: 'a+ b-', b: 'a- b+'}, machines('a'))).toEqual({a: 'alive', b: 'dead'});
  });

  it('is not asked of machines that are not ready, nor of strangers', () => {
    expect(count({a: 'c+', b: 'c-', x: 'c-', y: 'c-'}, machines('a'))).toEqual({c: 'alive'});
  });

  it('is nothing while no machine is ready: an outage buries nobody', () => {
    expect(count({a: 'a+ b- c-'}, machines(), {b: 'alive', c: 'alive'})).toEqual({});
    expect(heardFromMost(views({a: 'a+'}), machines())).toBe(false);
  });

  it('is what those see that report, where there never was a machine', () => {
    expect(count({a: 'a+ b+ c-', b: 'a+ b+ c-'}, {ready: new Set(), machines: false})).toEqual({a: 'alive', b: 'alive', c: 'dead'});
  });

  it('tells who left from who died', () => {
    expect(count({a: 'c/', b: 'c/', c: 'c+'}, machines('a', 'b', 'c'))).toEqual({c: 'left'});
    expect(count({a: 'c/', b: 'c-', d: 'c-'}, machines('a', 'b', 'd'))).toEqual({c: 'dead'});
  });

  it('does not raise the dead for a few late reports, and does when most see it again', () => {
    const ready = machines('a', 'b', 'c');
    expect(count({a: 'd-', b: 'd+', c: 'x+'}, ready, {d: 'dead'})).toMatchObject({d: 'dead'});
    expect(count({a: 'd-', b: 'd+', c: 'd+'}, ready, {d: 'dead'})).toMatchObject({d: 'alive'});
  });

  it('is only a suspicion where one misses a member that nobody else ever saw', () => {
    expect(count({a: 'ghost-'}, machines('a', 'b', 'c'))).toEqual({ghost: 'suspect'});
  });

  it('is described by the newest of those who agree', () => {
    const told = new Map([['a', new Map([['c', sighting('c', 'alive', {incarnation: 3, address: '10.0.0.9:1'})]])], ['b', new Map([['c', sighting('c', 'alive', {incarnation: 2})]])]]);
    expect(tally(told, machines('a', 'b'), () => undefined).get('c')).toMatchObject({votes: {alive: 2, silent: 0}, sighting: {incarnation: 3, address: '10.0.0.9:1'}});
  });
});

describe('what is written', () => {
  const now = Date.UTC(2026, 0, 1, 12);
  const changes = (texts: Readonly<Record<string, string>>, records: readonly MemberRecord[] = [], at = now) => {
    const electorate = machines('a', 'b', 'c');
    const known = new Map(records.map((record) => [record.name, record]));
    const reported = views(texts);
    return changesOf({records: known, standings: tally(reported, electorate, (name) => known.get(name)?.state), complete: heardFromMost(reported, electorate), now: at, uid: () => 'u1'});
  };
  const all = (text: string) => ({a: text, b: text, c: text});
  const [written] = changes(all('d+')).put;

  it('is a new member once', () => {
    expect(written).toMatchObject({name: 'd', state: 'alive', since: '2026-01-01T12:00:00.000Z', meta: {uid: 'u1', generation: 1}});
    expect(changes(all('d+'), [written!], now + 60_000)).toEqual({put: [], remove: []});
  });

  it('is a change of state with its time; who it is stays', () => {
    expect(changes(all('d-'), [written!], now + 60_000).put).toMatchObject([{name: 'd', state: 'dead', since: '2026-01-01T12:01:00.000Z', meta: {uid: 'u1', generation: 1, updatedAt: '2026-01-01T12:00:00.000Z'}}]);
  });

  it('says when nobody sees it any more, and when somebody does again', () => {
    const [unseen] = changes({a: 'd- a+'}, [written!]).put;
    expect(unseen).toMatchObject({name: 'd', state: 'alive', unseen: true, since: written!.since});
    const [seen] = changes({a: 'd+ a+'}, [unseen!]).put.filter(({name}) => name === 'd');
    expect(seen).toEqual(written);
  });

  it('is another address as another generation', () => {
    const moved = {...written!, address: '10.9.9.9:7946'};
    expect(changes(all('d+'), [moved]).put).toMatchObject([{address: '10.0.0.1:7946', meta: {generation: 2}}]);
  });

  it('forgets who is in no view any more: the living at once, the dead after a while, nobody while most are silent', () => {
    const dead: MemberRecord = {...written!, name: 'e', state: 'dead'};
    expect(changes(all('a+'), [written!, dead]).remove).toEqual(['d']);
    expect(changes(all('a+'), [written!, dead], now + SHOWN_MS).remove).toEqual(['d', 'e']);
    expect(changes({a: 'a+'}, [written!, dead], now + SHOWN_MS).remove).toEqual([]);
  });
});

describe('machines whose rings never met', () => {
  const met = (texts: Readonly<Record<string, string>>) => {
    const seen = views(texts);
    return Object.fromEntries(introductions(seen, tally(seen, machines(...Object.keys(texts)), () => undefined)));
  };

  it('are told of each other, and no more once they know each other', () => {
    expect(met({a: 'a+', b: 'b+'})).toEqual({a: ['10.0.0.1:7946'], b: ['10.0.0.1:7946']});
    expect(met({a: 'a+ b+', b: 'a+ b+'})).toEqual({});
  });

  it('who is known as dead, or counts as dead, is nobody to meet; and nobody is told of all', () => {
    expect(met({a: 'a+ b-', b: 'a+ b+'})).toEqual({});
    expect(met({a: 'a+ c-', b: 'b+ a+ c-', d: 'd+ a+ b+'})).toEqual({a: expect.any(Array), b: expect.any(Array)});
    expect(met({a: 'a+', b: 'b+ c+ d+ e+ f+ g+ h+'}).a).toHaveLength(5);
  });
});
