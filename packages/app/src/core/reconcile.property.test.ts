/** Any state of any app: what is done about it is never too much, never too little, and comes to an end. */
import fc from 'fast-check';
import type {ContainerPhase} from '@hivemind/contracts';
import type {ContainerView} from '../model.ts';
import {aContainer, anApp, aRollout, aStatus, at, epoch} from '../testing/builders.ts';
import {isLive} from './containers.ts';
import {planSteps, type ReconcileInput} from './reconcile.ts';

const phases: readonly ContainerPhase[] = ['pending', 'pulling', 'running', 'stopping', 'exited', 'failed', 'removed'];
const app = anApp();
const container = fc
  .record({
    revision: fc.integer({min: 1, max: 3}),
    node: fc.constantFrom('n1', 'n2', 'gone'),
    own: fc.boolean().map((own) => own || undefined),
    removedAt: fc.option(fc.integer({min: -100_000, max: 0}), {nil: undefined}),
    status: fc.option(fc.record({phase: fc.constantFrom(...phases), ready: fc.boolean()}), {nil: undefined}),
  })
  .map(({revision, node, own, removedAt, status}): ContainerView => ({
    record: aContainer(app, {revision, node, ...(own ? {} : {appUid: 'another'}), ...(removedAt === undefined ? {} : {removedAt: at(removedAt)})}),
    ...(status === undefined ? {} : {status: aStatus(status)}),
  }));
const counts = fc.uniqueArray(fc.record({revision: fc.integer({min: 1, max: 3}), replicas: fc.integer({min: 0, max: 4}), weight: fc.constant(0)}), {selector: ({revision}) => revision});
const state = fc
  .record({containers: fc.array(container, {maxLength: 8}), counts: fc.option(counts, {nil: undefined}), stopped: fc.boolean(), deleted: fc.boolean(), exists: fc.boolean(), waits: fc.boolean()})
  .map(({containers, counts: counted, stopped, deleted, exists, waits}): ReconcileInput => {
    const record = {...app, stopped, ...(deleted ? {deletedAt: at(0)} : {})};
    return {
      ...(exists ? {app: record} : {}),
      ...(exists && counted ? {rollout: aRollout(record, {counts: counted})} : {}),
      containers, waiting: waits ? [{app: 'db', message: 'not there'}] : [], whereabouts: ({record: {node}}) => (node === 'gone' ? {kind: 'gone'} : {kind: 'settled'}), now: epoch,
    };
  });

const ids = (views: readonly ContainerView[]) => views.map(({record}) => record.id);

/** The state after the steps were committed. */
function committed(input: ReconcileInput): ReconcileInput | undefined {
  const {create, remove, forget, deleteApp} = planSteps(input);
  const left = input.containers
    .filter(({record}) => !forget.includes(record.id))
    .map((view) => (remove.includes(view.record.id) ? {...view, record: {...view.record, removedAt: at(0)}} : view));
  const made = create.flatMap(({revision, count}) => Array.from({length: count}, () => ({record: aContainer(app, {revision})})));
  return deleteApp ? undefined : {...input, containers: [...left, ...made]};
}

/** Machines that do as they are told: what is to go is gone, what is new runs. */
function obeyed(input: ReconcileInput): ReconcileInput {
  return {...input, waiting: [], containers: input.containers.map((view) => ({...view, status: isLive(view) ? (view.status ?? aStatus()) : aStatus({phase: 'removed', ready: false})}))};
}

function liveByRevision({containers}: ReconcileInput): Record<number, number> {
  const live = containers.filter((view) => isLive(view) && view.record.appUid === app.meta.uid);
  return Object.fromEntries([1, 2, 3].map((revision) => [revision, live.filter(({record}) => record.revision === revision).length]));
}

it('removes only what lives, forgets only what was told to go, and no container is in two steps', () => {
  fc.assert(
    fc.property(state, (input) => {
      const {remove, forget} = planSteps(input);
      expect(ids(input.containers.filter(isLive))).toEqual(expect.arrayContaining([...remove]));
      expect(ids(input.containers.filter((view) => !isLive(view)))).toEqual(expect.arrayContaining([...forget]));
      expect(new Set([...remove, ...forget]).size).toBe(remove.length + forget.length);
    }),
  );
});

it('leaves of each revision exactly what is counted; fewer only while it waits, and nothing unknown is touched', () => {
  fc.assert(
    fc.property(state, (input) => {
      const after = committed(input);
      const {app: record, rollout} = input;
      if (after === undefined) return;
      const wanted = record === undefined || record.stopped || record.deletedAt !== undefined ? [] : rollout?.counts;
      const before = liveByRevision(input);
      const waits = input.waiting.length > 0 && Object.values(before).every((count) => count === 0);
      for (const [revision, live] of Object.entries(liveByRevision(after))) {
        const count = wanted?.find((each) => each.revision === Number(revision))?.replicas ?? 0;
        if (wanted === undefined) expect(live).toBe(before[Number(revision)]);
        else if (waits) expect(live).toBeLessThanOrEqual(count);
        else expect(live).toBe(count);
      }
    }),
  );
});

it('comes to rest: with machines that obey, a third look finds nothing to do', () => {
  fc.assert(
    fc.property(state, (input) => {
      const once = committed(obeyed(input));
      const twice = once && committed(obeyed(once));
      const settled = twice && obeyed(twice);
      // A deleted app's record may go with the second look; then nothing of it is left.
      if (settled === undefined) return;
      const {create, remove, forget, deleteApp} = planSteps(settled);
      expect({create, remove, forget, deleteApp}).toEqual({create: [], remove: [], forget: [], deleteApp: settled.app?.deletedAt !== undefined});
    }),
  );
});

describe('while machines are emptied', () => {
  const moving = fc.record({
    want: fc.integer({min: 0, max: 5}),
    maxUnavailable: fc.integer({min: 0, max: 2}),
    containers: fc.array(fc.record({leaving: fc.boolean(), ready: fc.boolean()}), {maxLength: 8}),
  }).map(({want, maxUnavailable, containers}) => {
    const moved = anApp({replicas: want, update: {maxUnavailable}});
    const views = containers.map(({leaving, ready}): ContainerView => ({record: aContainer(moved, {node: leaving ? 'emptied' : 'n1'}), status: aStatus({ready})}));
    const input: ReconcileInput = {app: moved, rollout: aRollout(moved), containers: views, waiting: [], now: epoch, whereabouts: ({record}) => (record.node === 'emptied' ? {kind: 'leaving', atOnce: false} : {kind: 'settled'})};
    return {input, want, maxUnavailable};
  });
  const readyOf = (views: readonly ContainerView[]): number => views.filter(({record, status}) => record.removedAt === undefined && status?.ready === true).length;

  it('never gives up a ready container that the floor needs', () => {
    fc.assert(
      fc.property(moving, ({input, want, maxUnavailable}) => {
        const {remove} = planSteps(input);
        const before = readyOf(input.containers);
        const after = readyOf(input.containers.filter(({record}) => !remove.includes(record.id)));
        if (after < before) expect(after).toBeGreaterThanOrEqual(Math.max(0, want - maxUnavailable));
      }),
    );
  });

  it('ends with all of them elsewhere, and nothing left on the machine', () => {
    fc.assert(
      fc.property(moving, ({input, want}) => {
        let state: ReconcileInput = input;
        for (let round = 0; round < 6; round++) {
          const {create, remove} = planSteps(state);
          const made = create.flatMap(({count}) => Array.from({length: count}, (): ContainerView => ({record: aContainer(input.app ?? app), status: aStatus({ready: false})})));
          // Those that were there become ready; those that were told to go are gone.
          const there = state.containers.filter(({record}) => !remove.includes(record.id)).map((view) => ({...view, status: aStatus()}));
          state = {...state, containers: [...there, ...made]};
        }
        expect(state.containers.map(({record}) => record.node)).toEqual(Array.from({length: want}, () => 'n1'));
      }),
    );
  });
});
