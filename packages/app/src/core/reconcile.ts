/**
 * From an app, its rollout and what runs of it to what has to be done.
 *
 * The rollout says how many containers of each revision there should be; nothing else counts replicas. Containers that
 * were told to go no longer count, though they hold their room until their node says that they are gone. Nor do those that
 * went with their machine. Those whose machine is being emptied count until others are ready in their place.
 *
 * Invariants: 1. After the steps, the live containers of each revision are as many as the rollout counts: fewer only while
 * dependencies wait or what must never run twice may still run, more only while containers move, or until the rollout was
 * made for the app's present generation. 2. A record is forgotten only after it was told to go. 3. Without a rollout of this
 * very app nothing is made or stopped: what the counts are is not known yet. 4. Of an app that must never run twice there are
 * never more containers that may run than the rollout counts. 5. A container that moves is stopped only where as many as
 * `maxUnavailable` allows are ready without it, or its time is up.
 */
import {fencingOf, type ContainerRecord} from '@hivemind/contracts';
import type {AppView, ContainerView, Steps, Waiting} from '../model.ts';
import {isFinished, isLive, isReady, isRunning} from './containers.ts';
import type {Whereabouts} from './whereabouts.ts';

/** ms after which a container that no status was ever heard of counts as gone: a node reports all it has every 30 s. */
export const UNHEARD_MS = 45_000;

export interface ReconcileInput extends AppView {
  readonly waiting: readonly Waiting[];
  readonly whereabouts: (view: ContainerView) => Whereabouts;
  readonly now: number;
}

interface Located extends ContainerView {
  readonly at: Whereabouts;
}

export function planSteps(input: ReconcileInput): Steps {
  const {app, rollout, now} = input;
  const containers = input.containers.map((view): Located => ({...view, at: input.whereabouts(view)}));
  const exclusive = (app !== undefined && fencingOf(app.spec) !== undefined) || containers.some(({record}) => fencingOf(record.template) !== undefined);
  const going = containers.filter((view) => !isLive(view));
  const forget = going.filter((view) => isGone(view, now)).map(idOf);
  const live = containers.filter(isLive);
  const own = live.filter(({record}) => record.appUid === app?.meta.uid);
  // Left behind by an earlier app of the same name, or by one whose record is gone.
  const foreign = live.filter(({record}) => record.appUid !== app?.meta.uid);
  const settle = (steps: Pick<Steps, 'create' | 'remove'> & Partial<Steps>): Steps => {
    const kept = containers.filter((view) => !forget.includes(idOf(view)) && !steps.remove.includes(idOf(view)));
    return {deleteApp: false, forget, wakeAt: nextLook(kept, now), ...steps};
  };

  if (app === undefined || app.deletedAt !== undefined) return settle({create: [], remove: live.map(idOf), deleteApp: app !== undefined && containers.length === forget.length});
  if (!app.stopped && (rollout === undefined || rollout.appUid !== app.meta.uid)) return settle({create: [], remove: foreign.map(idOf)});
  const wanted = new Map(app.stopped ? [] : rollout?.counts.map(({revision, replicas}) => [revision, replicas]));
  // Counts from before the app last changed say nothing against what came with that change, as adopted containers do.
  const counted = app.stopped || rollout?.generation === app.meta.generation;
  // Dependencies order the start of an app. Once some of it runs, a dependency that stumbles must not hold it up.
  const held = input.waiting.length > 0 && own.length === 0;
  const total = [...wanted.values()].reduce((sum, count) => sum + count, 0);
  let room = exclusive ? total - containers.filter((view) => mayRun(view) && !forget.includes(idOf(view))).length : Infinity;
  const remove = foreign.map(idOf);
  const create: {revision: number; count: number}[] = [];
  for (const revision of [...new Set([...wanted.keys(), ...own.map(({record}) => record.revision)])].toSorted((a, b) => a - b)) {
    const want = wanted.get(revision) ?? 0;
    const present = own.filter(({record}) => record.revision === revision);
    const sorted = sort(present, exclusive);
    const missing = Math.min(want - sorted.counting.length, room);
    if (missing > 0 && !held) {
      create.push({revision, count: missing});
      room -= missing;
    }
    const extra = counted ? surplus(sorted.counting, own, sorted.counting.length - want) : [];
    const {maxUnavailable} = app.spec.update;
    const floor = Math.max(0, want - (exclusive ? Math.max(1, maxUnavailable) : maxUnavailable));
    remove.push(...new Set([...sorted.dropped, ...extra, ...departures(sorted, extra, want, floor)].map(idOf)));
  }
  return settle({create, remove});
}

interface Sorted {
  /** They fill a place. Of what must never run twice, those that move do too: none comes beside them. */
  readonly counting: readonly Located[];
  readonly staying: readonly Located[];
  readonly leaving: readonly Located[];
  /** To be told to go at once: they went with their machine, or have no business there, or their time is up. */
  readonly dropped: readonly Located[];
}

function sort(present: readonly Located[], exclusive: boolean): Sorted {
  const dropped = present.filter(({at}) => at.kind === 'lost' || at.kind === 'gone' || at.kind === 'unwanted' || (at.kind === 'leaving' && at.atOnce));
  const there = present.filter((view) => !dropped.includes(view));
  const leaving = there.filter(({at}) => at.kind === 'leaving');
  const staying = there.filter(({at}) => at.kind !== 'leaving');
  return {counting: exclusive ? there : staying, staying, leaving, dropped};
}

/** Of those that move: as many as the ready ones that are left can do without, and those that serve nobody once all have a place elsewhere. */
function departures({staying, leaving}: Sorted, extra: readonly Located[], want: number, floor: number): readonly Located[] {
  const left = staying.filter((view) => !extra.includes(view));
  const movers = leaving.filter((view) => !extra.includes(view));
  const ready = movers.filter(isReady);
  const spare = Math.max(0, left.filter(isReady).length + ready.length - floor);
  const placed = left.length >= want;
  return [...movers.filter((view) => !isReady(view) && (placed || floor < want)), ...ready.slice(0, spare)];
}

/**
 * Which to give up: those that serve least (not running, then not ready; what finished is kept longest), then those on the
 * machine with most of the app, then the newest.
 */
export function surplus<T extends ContainerView>(present: readonly T[], own: readonly ContainerView[], count: number): readonly T[] {
  const perNode = new Map<string, number>();
  for (const {record} of own) perNode.set(record.node, (perNode.get(record.node) ?? 0) + 1);
  const crowd = ({record}: ContainerView): number => perNode.get(record.node) ?? 0;
  const order = (a: ContainerView, b: ContainerView): number => service(a) - service(b) || crowd(b) - crowd(a) || newestFirst(a.record, b.record);
  // On one machine the order never changes, so only the first of each machine are compared anew.
  const queues = Map.groupBy(present.toSorted(order), ({record}) => record.node);
  const chosen: T[] = [];
  while (chosen.length < count) {
    const [next] = [...queues.values()].flatMap(([first]) => first ?? []).toSorted(order);
    if (next === undefined) break;
    const {node} = next.record;
    queues.get(node)?.shift();
    perNode.set(node, crowd(next) - 1);
    chosen.push(next);
  }
  return chosen;
}

function service(view: ContainerView): number {
  if (isFinished(view)) return 3;
  if (isReady(view)) return 2;
  return isRunning(view) ? 1 : 0;
}

function newestFirst(a: ContainerRecord, b: ContainerRecord): number {
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt ? -1 : 1;
  return a.id > b.id ? -1 : 1;
}

/** Its machine may run it, whatever it was told. */
function mayRun({at}: Located): boolean {
  return at.kind !== 'lost' && at.kind !== 'gone';
}

function isGone({record, status, at}: Located, now: number): boolean {
  if (status?.phase === 'removed' || at.kind === 'gone') return true;
  // Silence is no proof for what must never run twice.
  return status === undefined && fencingOf(record.template) === undefined && now >= unheardUntil(record);
}

function unheardUntil({removedAt}: ContainerRecord): number {
  return Date.parse(removedAt ?? '') + UNHEARD_MS;
}

/** When time alone changes something about what is there. */
function nextLook(containers: readonly Located[], now: number): number | undefined {
  const times = containers.flatMap((view): number[] => {
    const {at, record, status} = view;
    const unheard = !isLive(view) && status === undefined && fencingOf(record.template) === undefined ? [unheardUntil(record)] : [];
    if (at.kind === 'waiting' && at.againInMs !== undefined) return [...unheard, now + at.againInMs];
    if ((at.kind === 'leaving' || at.kind === 'settled') && at.until !== undefined && isLive(view)) return [...unheard, at.until];
    return unheard;
  });
  return times.length === 0 ? undefined : Math.max(now, Math.min(...times));
}

function idOf({record}: ContainerView): string {
  return record.id;
}
