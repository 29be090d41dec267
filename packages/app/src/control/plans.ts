/** `?dryRun=true` and `…/plan`: what a write would do, asked of those who would do it, and not done. */
import {call} from '@hivemind/bus';
import {isError, placementRequest, resourceKey, templateOf, type AppRecord, type Plan} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {ManagerContext} from '@hivemind/service';
import {planDelta, planOf, type PlanInput} from '../core/plan.ts';
import type {ClusterView} from './view.ts';

/** Containers that placements are asked for; those beyond fare as the last one. */
const MOST_PLACED = 500;

/** @throws what asking scheduler and deployment throws, but that they are away: then the plan says what is known without them */
export async function planChange(context: Pick<ManagerContext, 'bus' | 'logger'>, view: ClusterView, before: AppRecord | undefined, after: AppRecord | undefined): Promise<Plan> {
  const app = after ?? before;
  const containers = app === undefined ? [] : view.appView(resourceKey(app.namespace, app.name)).containers;
  const desired = after?.spec.mode === 'global' && !after.stopped ? view.globalNodes(after.spec.placement) : undefined;
  const delta = planDelta({before, after, containers, ...(desired === undefined ? {} : {desired})});
  const [strategy, placed] = await Promise.all([
    after === undefined ? undefined : optional(context, () => call(context.bus, subjects.explainStrategy, {}, {spec: after.spec})),
    after === undefined || delta.create === 0 ? undefined : optional(context, () => askPlaces(context, view, after, delta)),
  ]);
  return planOf({before, after, containers, ...(desired === undefined ? {} : {desired}), strategy, placed});
}

function askPlaces({bus}: Pick<ManagerContext, 'bus'>, view: ClusterView, app: AppRecord, {create, stop}: ReturnType<typeof planDelta>): Promise<NonNullable<PlanInput['placed']>> {
  const {namespace, name, spec} = app;
  const template = templateOf(spec);
  const requests = Array.from({length: Math.min(create, MOST_PLACED)}, (_, index) => placementRequest({id: `${name}-${index + 1}`, namespace, app: name, template, perNode: spec.mode === 'global', volumeNode: (volume) => view.volumeNode(namespace, volume)}));
  return call(bus, subjects.place, {}, {requests, ignore: stop.map(({record}) => record.id)});
}

async function optional<T>({logger}: Pick<ManagerContext, 'logger'>, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (err) {
    if (!isError(err) || !err.retryable) throw err;
    logger.warn({err}, 'a plan is made without an answer of another manager');
    return undefined;
  }
}
