/**
 * From an app, its rollout and what runs of it to what has to be done.
 *
 * The rollout says how many containers of each revision there should be; nothing else counts replicas. Containers that
 * were told to go no longer count, though they hold their room until their node says that they are gone.
 *
 * Invariants: 1. After the steps, the live containers of each revision are as many as the rollout counts: fewer only while
 * dependencies wait, more only until the rollout was made for the app's present generation. 2. A record is forgotten only
 * after it was told to go. 3. Without a rollout of this very app nothing is made or stopped: what the counts are is not
 * known yet.
 */
import type {ContainerRecord} from '@hivemind/contracts';
import type {AppView, ContainerView, Steps, Waiting} from '../model.ts';
import {isFinished, isLive, isReady, isRunning} from './containers.ts';

/** ms after which a container that no status was ever heard of counts as gone: a node reports all it has every 30 s. */
export const UNHEARD_MS = 45_000;

export interface ReconcileInput extends AppView {
  readonly waiting: readonly Waiting[];
  /** Whether a machine is still known; what one that was removed from the cluster held is gone. */
  readonly knowsNode: (node: string) => boolean;
  readonly now: number;
}

export function planSteps(input: ReconcileInput): Steps {
  const {app, rollout, containers, waiting, now} = input;
  const going = containers.filter((view) => !isLive(view));
  const forget = going.filter((view) => isGone(view, input)).map(idOf);
  const unheard = going.filter((view) => view.status === undefined && !forget.includes(idOf(view))).map(({record}) => unheardUntil(record));
  const wakeAt = unheard.length === 0 ? undefined : Math.max(now, Math.min(...unheard));
  const own = containers.filter((view) => isLive(view) && view.record.appUid === app?.meta.uid);
  // Left behind by an earlier app of the same name, or by one whose record is gone.
  const foreign = containers.filter((view) => isLive(view) && view.record.appUid !== app?.meta.uid);

  if (app === undefined || app.deletedAt !== undefined) {
    const left = containers.length - forget.length;
    return {create: [], remove: [...own, ...foreign].map(idOf), forget, deleteApp: app !== undefined && left === 0, wakeAt};
  }
  if (!app.stopped && (rollout === undefined || rollout.appUid !== app.meta.uid)) {
    return {create: [], remove: foreign.map(idOf), forget, deleteApp: false, wakeAt};
  }
  const wanted = new Map(app.stopped ? [] : rollout?.counts.map(({revision, replicas}) => [revision, replicas]));
  const remove = foreign.map(idOf);
  const create: {revision: number; count: number}[] = [];
  // Counts from before the app last changed say nothing against what came with that change, as adopted containers do.
  const counted = app.stopped || rollout?.generation === app.meta.generation;
  // Dependencies order the start of an app. Once some of it runs, a dependency that stumbles must not hold it up.
  const held = waiting.length > 0 && own.length === 0;
  for (const revision of new Set([...wanted.keys(), ...own.map(({record}) => record.revision)])) {
    const present = own.filter(({record}) => record.revision === revision);
    const missing = (wanted.get(revision) ?? 0) - present.length;
    if (missing > 0 && !held) create.push({revision, count: missing});
    if (missing < 0 && counted) remove.push(...surplus(present, own, -missing).map(idOf));
  }
  return {create: create.toSorted((a, b) => a.revision - b.revision), remove, forget, deleteApp: false, wakeAt};
}

/**
 * Which to give up: those that serve least (not running, then not ready; what finished is kept longest), then those on the
 * machine with most of the app, then the newest.
 */
export function surplus(present: readonly ContainerView[], own: readonly ContainerView[], count: number): readonly ContainerView[] {
  const perNode = new Map<string, number>();
  for (const {record} of own) perNode.set(record.node, (perNode.get(record.node) ?? 0) + 1);
  const crowd = ({record}: ContainerView): number => perNode.get(record.node) ?? 0;
  const order = (a: ContainerView, b: ContainerView): number => service(a) - service(b) || crowd(b) - crowd(a) || newestFirst(a.record, b.record);
  // On one machine the order never changes, so only the first of each machine are compared anew.
  const queues = Map.groupBy(present.toSorted(order), ({record}) => record.node);
  const chosen: ContainerView[] = [];
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

function isGone({record, status}: ContainerView, {knowsNode, now}: ReconcileInput): boolean {
  if (status?.phase === 'removed' || !knowsNode(record.node)) return true;
  return status === undefined && now >= unheardUntil(record);
}

function unheardUntil({removedAt}: ContainerRecord): number {
  return Date.parse(removedAt ?? '') + UNHEARD_MS;
}

function idOf({record}: ContainerView): string {
  return record.id;
}
