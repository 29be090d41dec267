/** What only the leading app manager does: it wakes the reconciler of each app whose circumstances changed. */
import {createController} from '@hivemind/controller';
import {resourceKey} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import type {Fence} from '@hivemind/store';
import {trimEvents} from './event-trimmer.ts';
import {Reconciler} from './reconciler.ts';
import type {ClusterView} from './view.ts';

/** A net under lost wake-ups, ms. */
const RESYNC_MS = 60_000;

/** Leads until `signal` aborts, and has ended all of it when it resolves. */
export async function lead(context: ManagerContext, view: ClusterView, fence: Fence, signal: AbortSignal): Promise<void> {
  const reconciler = new Reconciler(context, view, fence);
  /** Keys of apps that found no machine for some container. */
  const unplaced = new Set<string>();
  const controller = createController({
    name: 'app',
    logger: context.logger,
    random: () => context.random(),
    // One at a time: what a node has promised is one record, and placements at the same time would only race for it.
    maxConcurrent: 1,
    coalesceMs: 0,
    keys: () => new Set([...view.apps.list().map(({key}) => key), ...view.containers.list().map(({value}) => resourceKey(value.namespace, value.app))]),
    resyncMs: RESYNC_MS,
    async reconcile(key, runSignal) {
      const pass = await reconciler.reconcile(key, runSignal);
      if (pass.unplaced) unplaced.add(key);
      else unplaced.delete(key);
      if (pass.wakeAt !== undefined) controller.wakeAt(key, pass.wakeAt);
    },
  });
  const stopListening = listen(view, (key) => controller.wake(key), unplaced);
  controller.start();
  trimEvents(context, signal);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
  stopListening();
  await controller.stop();
}

/** Who is woken by which change. Answers how to stop. */
function listen(view: ClusterView, wake: (key: string) => void, unplaced: ReadonlySet<string>): () => void {
  const withDependents = (key: string): void => {
    wake(key);
    for (const dependent of view.apps.byIndex('dependsOn', key)) wake(dependent.key);
  };
  const wakeUnplaced = (): void => {
    for (const key of unplaced) wake(key);
  };
  const stops = [
    view.apps.onChange(withDependents),
    view.rollouts.onChange((_key, before, after) => {
      const rollout = (after ?? before)?.value;
      if (rollout) wake(resourceKey(rollout.namespace, rollout.app));
    }),
    view.containers.onChange((_key, before, after) => {
      const record = (after ?? before)?.value;
      if (record) withDependents(resourceKey(record.namespace, record.app));
    }),
    view.statuses.onChange((_key, before, after) => {
      const record = (after ?? before)?.value;
      if (record) withDependents(resourceKey(record.namespace, record.app));
    }),
    ...[view.nodes, view.nodeStatus, view.nodeLeases, view.allocations, view.volumes].map((informer) => informer.onChange(wakeUnplaced)),
    view.nodes.onChange((node, _before, after) => {
      // What a machine held that is no longer known is gone with it.
      if (!after) for (const {value} of view.containers.byIndex('node', node)) wake(resourceKey(value.namespace, value.app));
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
