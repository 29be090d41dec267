/** Statuses of containers whose record is gone are deleted: nobody will report on them again. */
import {createController, type Controller} from '@hivemind/controller';
import {isError} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {commit} from '@hivemind/store';
import {containers, containerStatus, type Tables} from './tables.ts';

/** A net under lost wake-ups. */
const RESYNC_MS = 60_000;

export function sweepStatuses({store, logger, random}: Pick<ManagerContext, 'store' | 'logger' | 'random'>, tables: Tables): {start(): void; stop(): Promise<void>} {
  const isOrphan = (id: string): boolean => tables.statuses.get(id) !== undefined && tables.containers.get(id) === undefined;
  const controller: Controller = createController({
    name: 'container-status',
    logger,
    random,
    keys: () => tables.statuses.list().map(({key}) => key).filter(isOrphan),
    resyncMs: RESYNC_MS,
    async reconcile(id) {
      if (!isOrphan(id)) return;
      try {
        await commit(store, {compare: [containers.absent(id)], writes: [containerStatus.deleting(id)]});
      } catch (error) {
        // The cache was behind: the container exists.
        if (!isError(error, 'already-exists')) throw error;
      }
    },
  });
  const wake = (id: string): void => {
    if (isOrphan(id)) controller.wake(id);
  };
  const stops = [tables.containers.onChange(wake), tables.statuses.onChange(wake)];
  return {
    start: () => controller.start(),
    stop: async () => {
      for (const stop of stops) stop();
      await controller.stop();
    },
  };
}
