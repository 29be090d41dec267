/** A miniature of everything around the planner: makes containers as counted, lets them start, become ready, break and go. */
import {AppSpec, type AppRecord, type AppSpecInput, type Rollout} from '@hivemind/contracts';
import {planRollout} from '../core/plan.ts';
import type {ObservedContainer} from '../model.ts';

export const epoch = Date.parse('2026-01-01T00:00:00Z');

/** An app record with defaults; tests show only what matters. */
export function anApp(spec: Partial<AppSpecInput> = {}, revision = 1): AppRecord {
  return {
    name: 'web', namespace: 'default', labels: {}, annotations: {}, revision, stopped: false, restarts: 0,
    spec: AppSpec.parse({image: 'web:1', ...spec}),
    meta: {uid: 'uid-web', generation: revision, createdAt: new Date(epoch).toISOString(), updatedAt: new Date(epoch).toISOString()},
  };
}

interface Simulated extends ObservedContainer {
  readonly bornAt: number;
}

export interface MiniatureOptions {
  readonly app: AppRecord;
  /** Revisions whose containers never become ready but fail for good. */
  readonly broken?: ReadonlySet<number>;
  /** ms from birth to ready. */
  readonly startMs?: number;
  /** ms from being told to go until gone. */
  readonly stopMs?: number;
}

export class Miniature {
  app: AppRecord;
  now = epoch;
  rollouts: Rollout[] = [];
  containers: Simulated[] = [];
  readonly broken: ReadonlySet<number>;
  /** ms from birth to ready; may be changed on the way. */
  startMs: number;
  private readonly stopMs: number;
  private readonly goingSince = new Map<string, number>();
  private wakeAt: number | undefined;
  private born = 0;

  constructor(options: MiniatureOptions) {
    this.app = options.app;
    this.broken = options.broken ?? new Set();
    this.startMs = options.startMs ?? 500;
    this.stopMs = options.stopMs ?? 500;
  }

  get current(): Rollout {
    const newest = this.rollouts.toSorted((a, b) => b.revision - a.revision)[0];
    if (!newest) throw new Error('no rollout yet');
    return newest;
  }

  get revisions(): ReadonlySet<number> {
    return new Set(Array.from({length: this.app.revision}, (_, index) => index + 1));
  }

  ready(revision?: number): number {
    return this.containers.filter((container) => container.ready && !container.removing && (revision === undefined || container.revision === revision)).length;
  }

  /** One look of the planner, then the app manager makes the counts so, then 100 ms pass. */
  tick(): void {
    const decision = planRollout({app: this.app, rollouts: this.rollouts, containers: this.containers, revisions: this.revisions, now: this.now});
    for (const write of decision.writes) this.rollouts = [...this.rollouts.filter((rollout) => rollout.revision !== write.revision), write];
    this.wakeAt = decision.wakeAt;
    this.makeSo();
    this.now += 100;
    this.age();
  }

  /** Until nothing changes and nothing is due, or the deadline in simulated ms. */
  settle(deadlineMs = 600_000): void {
    const end = this.now + deadlineMs;
    let quiet = 0;
    while (this.now < end && quiet < 80) {
      const before = JSON.stringify([this.rollouts, this.containers]);
      this.tick();
      const still = JSON.stringify([this.rollouts, this.containers]) === before && (this.wakeAt === undefined || this.wakeAt > end);
      quiet = still ? quiet + 1 : 0;
    }
  }

  private makeSo(): void {
    const counts = new Map(this.current.counts.map((count) => [count.revision, count.replicas]));
    for (const revision of new Set([...counts.keys(), ...this.containers.map((container) => container.revision)])) {
      const live = this.containers.filter((container) => container.revision === revision && !container.removing).toSorted((a, b) => Number(a.ready) - Number(b.ready));
      const wanted = counts.get(revision) ?? 0;
      for (const surplus of live.slice(0, Math.max(0, live.length - wanted))) {
        this.goingSince.set(surplus.id, this.now);
        this.containers = this.containers.map((container) => (container.id === surplus.id ? {...container, removing: true} : container));
      }
      for (let missing = wanted - live.length; missing > 0; missing--) {
        this.containers.push({id: `web-${++this.born}`, revision, removing: false, ready: false, readySince: undefined, hopeless: undefined, completed: false, bornAt: this.now});
      }
    }
  }

  private age(): void {
    this.containers = this.containers
      .filter((container) => !container.removing || this.now - (this.goingSince.get(container.id) ?? this.now) < this.stopMs)
      .map((container) => {
        if (container.removing || container.ready || this.now - container.bornAt < this.startMs) return container;
        if (this.broken.has(container.revision)) return {...container, hopeless: 'restarted 3 times, last exit code 1'};
        return {...container, ready: true, readySince: this.now};
      });
  }
}
