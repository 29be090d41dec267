/**
 * The writer's thread as this one sees it. Groups that are sent before it is up wait in its port, so opening a store does
 * not wait for it. Should it die, what was on its way is refused as unknown, and another is started at the next group:
 * the lock on the store is held by this thread, so no one can come between.
 */
import type {Worker} from 'node:worker_threads';
import type {GroupResult, WriteRequest} from './writer-protocol.ts';

export class WorkerBackend {
  readonly #start: () => Worker;
  #worker: Worker | undefined;
  /** Who waits for an answer, oldest first: the writer answers in order. */
  readonly #pending: ((result: GroupResult) => void)[] = [];

  constructor(start: () => Worker) {
    this.#start = start;
    this.#worker = this.#launch();
  }

  send(group: readonly WriteRequest[]): Promise<GroupResult> {
    const worker = (this.#worker ??= this.#launch());
    return new Promise((resolve) => {
      this.#pending.push(resolve);
      worker.postMessage(group);
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage('close');
    await exited;
  }

  #launch(): Worker {
    const worker = this.#start();
    let reason = 'the writer stopped';
    worker.on('message', (result: GroupResult) => this.#pending.shift()?.(result));
    worker.on('error', (error) => (reason = `the writer failed: ${String(error)}`));
    worker.on('exit', () => {
      this.#worker = undefined;
      for (const settle of this.#pending.splice(0)) settle({ok: false, detail: reason});
    });
    return worker;
  }
}
