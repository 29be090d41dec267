/** A worker on a machine whose engine, clock and control plane are in memory. */
import {createEmbeddedBus} from '@hivemind/bus';
import type {ContainerRecord} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import type {NodeHook} from '@hivemind/runtime';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {createFakeRuntime, type FakeRuntime} from '../../../testing/fake.ts';
import type {Rotation} from '../drain.ts';
import {createWorker, type Worker} from '../worker.ts';
import {containerRecord} from './builders.ts';
import {ControlPlane, TestSession} from './control-plane.ts';

const logger = pino({level: 'silent'});

export class Machine implements AsyncDisposable {
  readonly bus = createEmbeddedBus();
  readonly clock = new FakeClock();
  readonly control = new ControlPlane(this.bus);
  readonly runtime: FakeRuntime = createFakeRuntime({now: () => this.clock.now()});
  session = new TestSession();
  readonly dataDir = tempDir('worker');
  readonly hooks: NodeHook[] = [];
  /** Who is connected to the containers. */
  open = 0;
  rotation: Rotation | undefined;
  worker: Worker | undefined;

  get engine() {
    return this.runtime.engine;
  }

  async start(): Promise<this> {
    await this.control.start();
    await this.startWorker();
    return this;
  }

  async startWorker(): Promise<Worker> {
    this.worker = createWorker({node: 'n1', bus: this.bus, runtime: this.runtime, dataDir: this.dataDir, session: this.session, hooks: this.hooks, ...(this.rotation ? {rotation: this.rotation} : {}), connections: async () => this.open, clock: this.clock, logger});
    await this.worker.start();
    return this.worker;
  }

  /** Time goes on by `stepMs` between two looks, as far as `withinMs`; then it all but stands still while the disk takes its own. */
  async until(what: string, condition: () => boolean, {stepMs = 1, withinMs = 2_000} = {}): Promise<void> {
    for (let passed = 0; !condition(); passed += stepMs) {
      await this.clock.advance(passed < withinMs ? stepMs : 0);
      if (passed < withinMs) continue;
      await waitFor(() => this.clock.advance(1).then(condition), {what: `${what}, within ${withinMs} ms of the test's clock; statuses ${JSON.stringify([...this.control.statuses])}`, deadlineMs: 5_000});
    }
  }

  async running(...ids: readonly string[]): Promise<void> {
    await this.until(`${ids.join(', ')} running`, () => ids.every((id) => this.control.phase(id) === 'running'));
  }

  creates(id: string): number {
    return this.engine.calls.filter((call) => call === `create ${id}`).length;
  }

  status(id: string) {
    const status = this.control.statuses.get(id);
    if (!status) throw new Error(`no status of ${id}`);
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker?.stop();
    await this.control.stop();
    await this.runtime.close();
    await this.bus.close();
    await removeTempDir(this.dataDir);
  }
}

export const web = (fields: Parameters<typeof containerRecord>[0] = {}): ContainerRecord => containerRecord(fields);
