/** From the shares of revisions to the weights of containers. Pure. */
import type {TrafficShare} from '@hivemind/contracts';

/** Weights are multiples of it: whole percents of a rollout's shares differ by rounding, and such a difference is none. */
const STEP = 5;
const HEAVIEST = 100;

/**
 * The weight of a container by its revision, where `ready` counts those in rotation by revision: the heaviest has 100, one whose
 * revision has no share has 0. Without shares, or where nobody ready has one, all weigh the same.
 */
export function weightsOf(traffic: readonly TrafficShare[], ready: ReadonlyMap<number, number>): (revision: number) => number {
  const shares = new Map(traffic.map(({revision, weight}) => [revision, weight]));
  const each = new Map([...ready].map(([revision, count]) => [revision, (shares.get(revision) ?? 0) / count]));
  const most = Math.max(0, ...each.values());
  if (most === 0) return () => HEAVIEST;
  return (revision) => {
    const own = each.get(revision) ?? 0;
    return own === 0 ? 0 : Math.max(STEP, Math.round((own / most) * (HEAVIEST / STEP)) * STEP);
  };
}
