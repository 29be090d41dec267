/** What only the leading app manager does: it wakes the reconciler of each app whose circumstances changed. */
import {createController, systemClock, type Clock} from '@hivemind/controller';
import {fencingOf, resourceKey, type ContainerRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import type {Fence} from '@hivemind/store';
import {trimEvents} from './event-trimmer.ts';
import {Reconciler} from './reconciler.ts';
import {Silence} from './silence.ts';
import type {ClusterView} from './view.ts';
import {wakeNodes} from './wake-nodes.ts';

/** A net under lost wake-ups, ms. */
const RESYNC_MS = 60_000;

/** Leads until `signal` aborts, and has ended all of it when it resolves. */
export async function lead(context: ManagerContext, view: ClusterView, fence: Fence, signal: AbortSignal, clock: Clock = systemClock): Promise<void> {
  const silence = new Silence(view, clock);
  const reconciler = new Reconciler(context, view, fence, silence);
  /** Keys of apps that found no machine for some container. */
  const unplaced = new Set<string>();
  const controller = createController({
    name: 'app',
    logger: context.logger,
    clock,
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
  // A store that was put back may know less than the machines were told: each is to look at once what it runs beyond (law 12).
  wakeNodes(context, view.nodes.list().map(({key}) => key), fence.revision);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
  stopListening();
  silence.stop();
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
  const wakeNode = (node: string, which: (record: ContainerRecord) => boolean = () => true): void => {
    for (const {value} of view.containers.byIndex('node', node)) if (which(value)) wake(resourceKey(value.namespace, value.app));
  };
  const wakeGlobal = (): void => {
    for (const {key} of view.apps.byIndex('global', 'global')) wake(key);
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
    // What a machine is, and whether it is there, says what becomes of what runs on it.
    view.nodes.onChange((node, before, after) => {
      if (before && after && JSON.stringify([before.value.spec, before.value.labels]) === JSON.stringify([after.value.spec, after.value.labels])) return;
      wakeNode(node);
      wakeGlobal();
    }),
    view.nodeVerdicts.onChange((node, before, after) => {
      if ((before?.value.state ?? 'ready') === (after?.value.state ?? 'ready') && before?.value.confirmedDead === after?.value.confirmedDead) return;
      wakeNode(node);
      wakeGlobal();
    }),
    view.nodeLeases.onChange((node, before, after) => {
      if (before?.value.session !== after?.value.session) wakeNode(node, ({template}) => fencingOf(template) !== undefined);
    }),
    view.nodeBrake.onChange(() => {
      for (const {key, value} of view.nodeVerdicts.list()) if (value.state !== 'ready') wakeNode(key);
    }),
    view.volumes.onChange((_key, before, after) => {
      // Its data was given up: its users need not wait for that machine any more.
      if (before?.value.node !== undefined && after?.value.node !== before.value.node) wakeNode(before.value.node);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
