/**
 * The arithmetic of a rollout: from how many containers of each revision there are and how they fare, to how many there
 * should be next.
 *
 * Intuition: grow the goal revision into whatever room `desired + surge` leaves; shrink the others as far as
 * `desired - unavailable` ready ones allow, those that do not work first, since removing them costs nothing. (The same two
 * bounds as a Kubernetes Deployment keeps.)
 */
import type {RevisionCount} from '@hivemind/contracts';
import type {ObservedContainer} from '../model.ts';
import type {Bounds} from './strategy.ts';

export interface CountsInput {
  /** Containers wanted in all. */
  readonly desired: number;
  /** The revision that is to take over. */
  readonly goal: number;
  /** What was asked for last. */
  readonly counts: readonly RevisionCount[];
  readonly containers: readonly ObservedContainer[];
  readonly bounds: Bounds;
  /** Of the goal revision: ready long enough to be relied on. */
  readonly available: number;
}

type Mutable = Map<number, number>;

/** Containers per revision that a rollout should have next; revisions with none are left out, the goal never is. */
export function nextCounts(input: CountsInput): readonly RevisionCount[] {
  const counts: Mutable = new Map(input.counts.map((count) => [count.revision, count.replicas]));
  // Containers of revisions that nobody counts (left over from a superseded rollout) are old ones too.
  for (const container of input.containers) if (!container.removing && !counts.has(container.revision)) counts.set(container.revision, live(input, container.revision).length);
  counts.set(input.goal, Math.min(counts.get(input.goal) ?? 0, input.desired));
  shrinkOthers(counts, input);
  growGoal(counts, input);
  return withWeights(counts, input.goal);
}

function live(input: CountsInput, revision: number): readonly ObservedContainer[] {
  return input.containers.filter((container) => container.revision === revision && !container.removing);
}

function others(counts: Mutable, goal: number): readonly number[] {
  // Oldest last: what was superseded halfway goes before what still serves.
  return [...counts.keys()].filter((revision) => revision !== goal).toSorted((a, b) => b - a);
}

function growGoal(counts: Mutable, input: CountsInput): void {
  const asked = counts.get(input.goal) ?? 0;
  let taken = asked;
  for (const revision of others(counts, input.goal)) taken += counts.get(revision) ?? 0;
  if (input.bounds.stoppingCounts) {
    // What was asked to go but has not gone yet still holds its port or volume.
    const present = input.containers.filter((container) => container.revision !== input.goal).length;
    const askedOthers = taken - asked;
    taken += Math.max(0, present - askedOthers);
  }
  const room = input.desired + input.bounds.surge - taken;
  counts.set(input.goal, Math.min(input.desired, asked + Math.max(0, room)));
}

function shrinkOthers(counts: Mutable, input: CountsInput): void {
  const floor = Math.max(0, input.desired - input.bounds.unavailable);
  const ready = (revision: number): number => Math.min(counts.get(revision) ?? 0, live(input, revision).filter((container) => container.ready).length);
  const asked = counts.get(input.goal) ?? 0;
  const available = Math.min(input.available, asked);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  // Those that do not serve go first, but never so many that the total falls below the floor before the goal works:
  // an old container may be unready for a moment only.
  let free = total - floor - (asked - available);
  for (const revision of others(counts, input.goal)) {
    const count = counts.get(revision) ?? 0;
    const removed = Math.max(0, Math.min(count - ready(revision), free));
    counts.set(revision, count - removed);
    free -= removed;
  }
  let spare = available - floor;
  for (const revision of others(counts, input.goal)) spare += ready(revision);
  for (const revision of others(counts, input.goal)) {
    const removed = Math.max(0, Math.min(ready(revision), counts.get(revision) ?? 0, spare));
    counts.set(revision, (counts.get(revision) ?? 0) - removed);
    spare -= removed;
  }
}

function withWeights(counts: Mutable, goal: number): readonly RevisionCount[] {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .filter(([revision, replicas]) => replicas > 0 || revision === goal)
    .toSorted(([a], [b]) => a - b)
    .map(([revision, replicas]) => ({revision, replicas, weight: total === 0 ? (revision === goal ? 100 : 0) : Math.round((100 * replicas) / total)}));
}
