/**
 * The writer's thread as this one sees it. Should it die, what was on its way is refused as unknown, and another is
 * started: the lock on the store is held by this thread, so no one can come between.
 */
import type {Worker} from 'node:worker_threads';
import type {WriterBackend} from './group-writer.ts';
import type {GroupResult, WriteRequest} from './writer-protocol.ts';

/** Resolves when the writer has opened the database; rejects with the reason that it could not. */
export async function workerBackend(spawn: () => Worker): Promise<WriterBackend> {
  const pending: ((result: GroupResult) => void)[] = [];
  let worker: Worker | undefined;
  let closing = false;

  const refusePending = (detail: string): void => {
    for (const settle of pending.splice(0)) settle({ok: false, detail});
  };

  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const started = spawn();
      let reason: unknown = 'the writer thread stopped';
      started.once('message', () => {
        started.on('message', (result: GroupResult) => pending.shift()?.(result));
        resolve();
      });
      started.on('error', (error) => (reason = error));
      started.on('exit', () => {
        reject(reason);
        worker = undefined;
        refusePending(String(reason));
      });
      worker = started;
    });

  await start();
  return {
    async send(group: readonly WriteRequest[]) {
      if (!worker && !closing) start().catch(() => undefined);
      const target = worker;
      if (!target) return {ok: false, detail: 'the writer thread stopped'};
      return new Promise<GroupResult>((resolve) => {
        pending.push(resolve);
        target.postMessage(group);
      });
    },
    async close() {
      closing = true;
      const target = worker;
      if (!target) return;
      const exited = new Promise((resolve) => target.once('exit', resolve));
      target.postMessage('close');
      await exited;
    },
  };
}
