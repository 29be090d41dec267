/** When a write makes a new revision: whenever the template differs, or a restart was asked for. */
import {templateOf, type AppRecord, type AppRevision, type AppSpec} from '@hivemind/contracts';
import {canonical} from './canonical.ts';

/** How many revisions of an app are kept, the current one included. */
export const KEPT_REVISIONS = 10;

/** Whether containers made for one would serve for the other. */
export function sameTemplate(a: AppSpec, b: AppSpec): boolean {
  return canonical(templateOf(a)) === canonical(templateOf(b));
}

/** The number of the revision that `next` is. Numbers are never used twice in an app's life. */
export function revisionNumber(before: Pick<AppRecord, 'spec' | 'restarts' | 'revision'> | undefined, next: Pick<AppRecord, 'spec' | 'restarts'>): number {
  if (before === undefined) return 1;
  return before.restarts === next.restarts && sameTemplate(before.spec, next.spec) ? before.revision : before.revision + 1;
}

/** The immutable record of an app's current revision. */
export function revisionOf(app: AppRecord, cause: string, createdAt: string): AppRevision {
  const {name, namespace, spec, restarts, revision} = app;
  return {appUid: app.meta.uid, app: name, namespace, number: revision, spec, restarts, createdAt, cause};
}

/** Revisions that may be forgotten: all but the newest ones, and those that containers still run or a rollout may go back to. */
export function revisionsToForget(numbers: readonly number[], inUse: ReadonlySet<number>): readonly number[] {
  return numbers.toSorted((a, b) => b - a).slice(KEPT_REVISIONS).filter((number) => !inUse.has(number));
}
