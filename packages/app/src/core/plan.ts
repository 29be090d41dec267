/** What a write would do, for a person to read before it is done. */
import type {AppRecord, Plan, Rollout} from '@hivemind/contracts';
import type * as subjects from '@hivemind/contracts/subjects';
import type * as z from 'zod';
import type {ContainerView} from '../model.ts';
import {canonical} from './canonical.ts';
import {isLive} from './containers.ts';
import {surplus} from './reconcile.ts';

type PlaceReply = z.infer<(typeof subjects.place)['reply']>;

export interface PlanInput {
  readonly before?: AppRecord;
  /** As it would be stored, with its revision. Undefined: a deletion. */
  readonly after?: AppRecord;
  readonly containers: readonly ContainerView[];
  /** Containers that there should be; as many as the spec says when absent. */
  readonly desired?: number;
  readonly strategy?: {readonly strategy: Rollout['strategy']; readonly because?: string};
  /** Where the containers that would be new can go. */
  readonly placed?: Pick<PlaceReply, 'placements' | 'refusals'>;
}

/** Containers to ask placements for: how many, and which go, leaving their room. */
export function planDelta({before, after, containers, desired = after === undefined || after.stopped ? 0 : after.spec.replicas}: Pick<PlanInput, 'before' | 'after' | 'containers' | 'desired'>): {readonly create: number; readonly stop: readonly ContainerView[]; readonly keep: readonly ContainerView[]} {
  const uid = before?.meta.uid;
  const live = containers.filter((view) => isLive(view) && view.record.appUid === uid);
  const current = after === undefined ? [] : live.filter(({record}) => record.revision === after.revision);
  const tooMany = surplus(current, live, Math.max(0, current.length - desired));
  const keep = current.filter((view) => !tooMany.includes(view));
  return {create: desired - keep.length, stop: live.filter((view) => !keep.includes(view)), keep};
}

export function planOf(input: PlanInput): Plan {
  const {before, after, strategy, placed} = input;
  const app = after ?? before;
  if (app === undefined) throw new TypeError('a plan is of an app that is, or will be');
  const delta = planDelta(input);
  const replaces = before !== undefined && after !== undefined && before.revision !== after.revision && delta.stop.length > 0;
  const revision = app.revision;
  return {
    app: app.name,
    namespace: app.namespace,
    action: actionOf(input, delta),
    strategy: replaces && strategy !== undefined ? strategy.strategy : 'none',
    ...(replaces && strategy?.because !== undefined ? {because: strategy.because} : {}),
    fields: after === undefined ? [] : changedFields(shown(before), shown(after)),
    containers: [
      ...delta.keep.map(({record}) => ({action: 'keep' as const, container: record.id, revision: record.revision, node: record.node})),
      ...delta.stop.map(({record}) => ({action: 'stop' as const, container: record.id, revision: record.revision, node: record.node})),
      ...Array.from({length: delta.create}, (_, index) => {
        const node = placed?.placements[index]?.node;
        return {action: 'create' as const, revision, ...(node === undefined ? {} : {node})};
      }),
    ],
    refusals: (placed?.refusals[0]?.nodes ?? []).map(({node, reason}) => ({node, reason})),
  };
}

function actionOf({before, after}: PlanInput, delta: ReturnType<typeof planDelta>): Plan['action'] {
  if (after === undefined) return 'delete';
  if (before === undefined) return 'create';
  if (before.revision !== after.revision) return 'update';
  if (before.spec.replicas !== after.spec.replicas || before.stopped !== after.stopped) return 'scale';
  return canonical(shown(before)) === canonical(shown(after)) && delta.create === 0 && delta.stop.length === 0 ? 'none' : 'update';
}

function shown(app: AppRecord | undefined): unknown {
  return app === undefined ? undefined : {labels: app.labels, annotations: app.annotations, spec: app.spec};
}

/** The places where two values differ, as deep as both are objects. Lists are compared as wholes. */
export function changedFields(before: unknown, after: unknown, path = ''): Plan['fields'] {
  if (canonical(before ?? null) === canonical(after ?? null)) return [];
  if (!isObject(after) || !(isObject(before) || before === undefined)) return [{path, before: before ?? null, after: after ?? null}];
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const [old, fresh] = [before?.[key], after[key]];
    if (before === undefined && isEmpty(fresh)) return [];
    return changedFields(old, fresh, path === '' ? key : `${path}.${key}`);
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Defaults that say nothing need not be shown of what is new. */
function isEmpty(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}
